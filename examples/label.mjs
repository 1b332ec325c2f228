/**
 * Label pages with the fast model from Node, with `pagelabel.mjs`.
 *
 *     npm install --no-save onnxruntime-node
 *     node examples/label.mjs model/fast < pages.jsonl > labelled.jsonl
 *     node examples/label.mjs model/fast --check           # against the bundle's reference pages
 *     node examples/label.mjs model/fast --encode < pages.jsonl    # what the graphs are given; needs no onnxruntime
 */

import { readFile } from "node:fs/promises";

import { Labeler } from "./pagelabel.mjs";

const [folder, option] = process.argv.slice(2);
if (!folder || ![undefined, "--check", "--encode"].includes(option)) {
  console.error("usage: node label.mjs FOLDER [--check | --encode] < PAGES > LABELLED");
  process.exit(2);
}
const ort = option === "--encode" ? undefined : await import("onnxruntime-node");
const labeler = await Labeler.load((name) => readFile(`${folder}/${name}`), ort);

/** Node's readline would end a line at U+2028, too, which may stand in JSON. */
async function* lines() {
  let rest = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    const found = (rest + chunk).split("\n");
    rest = found.pop();
    yield* found.filter((line) => line.trim());
  }
  if (rest.trim()) yield rest;
}

/** Ids, lines and features have to be the same, and 97% of the labels: those of the reference are of fp32. */
async function check() {
  let [pages, paragraphs, same, furthest] = [0, 0, 0, 0];
  const wrong = new Set();
  for (const line of labeler.reference) {
    const page = JSON.parse(line);
    const found = labeler.encode(page);
    for (const name of ["lines", "words"]) {
      if (String(found[name]) !== String(page[name])) wrong.add(`${page.id}: ${name}`);
    }
    const expected = page.features.flat();
    furthest = Math.max(furthest, ...found.features.flat().map((x, i) => Math.abs(x - expected[i])));
    const { labels } = await labeler.label(page);
    pages += 1;
    paragraphs += labels.length;
    same += labels.filter((label, i) => label === page.labels[i]).length;
  }
  for (const place of wrong) console.error(`${place} differ`);
  const share = ((100 * same) / paragraphs).toFixed(2);
  console.log(`${pages} pages: features within ${furthest}, ${share}% of labels the same`);
  return wrong.size === 0 && furthest < 1e-5 && same >= 0.97 * paragraphs ? 0 : 1;
}

if (option === "--check") {
  process.exitCode = await check();
} else {
  let number = 0;
  for await (const line of lines()) {
    number += 1;
    try {
      const page = JSON.parse(line);
      console.log(JSON.stringify(option ? labeler.encode(page) : { ...page, ...(await labeler.label(page)) }));
    } catch (error) {
      console.error(`page ${number}: ${error.message}`);
      process.exitCode = 1;
    }
  }
}
