/**
 * The fast model in JavaScript: the paragraphs of a web page to labels, in Node or a browser.
 *
 *     import * as ort from "onnxruntime-node";          // or "onnxruntime-web"
 *     const labeler = await Labeler.load((name) => readFile(`model/fast/${name}`), ort);
 *     const { labels, scores } = await labeler.label({ paragraphs: ["Mayor resigns", "Donate now"] });
 *
 * What is done here and why is told by the Python files that each part names; `label.mjs --check` tells whether both
 * agree.
 */

import { encode, Words } from "./encode.mjs";

// ---- model/bundle.py, model/decoding.py -----------------------------------------------------------------------------

/** Labels and their probabilities of logits, number[][]. */
export function decide(logits, config) {
  const probabilities = logits.map((row) => {
    const most = Math.max(...row);
    const exponents = row.map((x) => Math.exp((x - most) / config.temperature));
    const total = exponents.reduce((sum, x) => sum + x, 0);
    return exponents.map((x) => x / total);
  });
  const limits = config.labels.map((label) => config.thresholds[label] ?? 0);
  const scores = probabilities.map((row) => row.map((p, i) => (p >= limits[i] ? Math.log(p) : -Infinity)));
  const path = bestPath(scores, config.transitions);
  return {
    labels: path.map((label) => config.labels[label]),
    scores: path.map((label, i) => Number(probabilities[i][label].toFixed(4))),
  };
}

/** Viterbi: the labels whose sum of scores and of transitions, from a paragraph to the next, is largest. */
function bestPath(scores, transitions) {
  const came = [];
  let best = scores[0] ?? [];
  for (const row of scores.slice(1)) {
    const sources = row.map((_, to) => {
      const sums = best.map((x, from) => x + (transitions?.[from]?.[to] ?? 0));
      return [sums.indexOf(Math.max(...sums)), Math.max(...sums)];
    });
    came.push(sources.map(([from]) => from));
    best = sources.map(([, x], to) => x + row[to]);
  }
  const path = scores.length ? [best.indexOf(Math.max(...best))] : [];
  for (const sources of came.reverse()) path.push(sources[path.at(-1)]);
  return path.reverse();
}

// ---- inference/hierarchical.py --------------------------------------------------------------------------------------

export class Labeler {
  /**
   * @param read gives the bytes of a file of the bundle by its name, as a Uint8Array or a promise of one
   * @param ort onnxruntime-node or onnxruntime-web; without it the labeler only encodes and decides
   */
  static async load(read, ort) {
    const bytes = async (name) => new Uint8Array(await read(name));
    const text = (data) => new TextDecoder("utf-8", { ignoreBOM: true }).decode(data);
    const config = JSON.parse(text(await bytes("config.json")));
    if (config.network !== "hierarchical") throw new Error(`a ${config.network} bundle; this reads fast ones`);
    const files = {};
    for (const [name, digest] of Object.entries(config.sha256)) {
      files[name] = await bytes(name);
      const found = new Uint8Array(await crypto.subtle.digest("SHA-256", files[name]));
      const hex = [...found].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      if (hex !== digest) throw new Error(`${name}: sha256 is ${hex}, config.json has ${digest}: copy the bundle anew`);
    }
    // Its kernel is slow.
    const options = { extra: { optimization: { disable_specified_optimizers: "SkipLayerNormFusion" } } };
    const open = (name) => ort?.InferenceSession.create(files[name], options);
    const vocabulary = text(files["words.txt"]).split("\n").slice(0, -1);
    const reference = text(files["reference.jsonl"]).split("\n").filter(Boolean);
    return new Labeler(ort, config, vocabulary, await open("paragraphs.onnx"), await open("page.onnx"), reference);
  }

  constructor(ort, config, vocabulary, paragraphs, page, reference) {
    Object.assign(this, { ort, config, paragraphs, page, reference });
    this.words = new Words(vocabulary, config.encoding);
  }

  /** What the graphs are given of a page, see `encode`. */
  encode(page) {
    return encode(page, this.words, this.config.encoding);
  }

  /**
   * @param page {paragraphs: string[], title?: string, url?: string, link?: number[] (percent of each in links)}
   * @returns {labels: string[], scores: number[]} as long as the paragraphs
   */
  async label(page) {
    const { lines, words, features } = this.encode(page);
    const { labels, scores } = decide(await this.logits(words, features), this.config);
    const spread = (values) => values.flatMap((value, i) => Array(lines[i]).fill(value));
    return { labels: spread(labels), scores: spread(scores) };
  }

  /** Logits of each paragraph that is read, number[][], of what `encode` gives. */
  async logits(words, features) {
    const total = features.length;
    if (!total) return [];
    const vectors = await this.vectors(words);
    const known = words.length - total;
    const blank = Array(known).fill(Array(this.config.encoding.features.length).fill(0));
    const { window_paragraphs: longest, context_paragraphs: context } = this.config.encoding;
    const out = [];
    for (let start = 0; start < total; ) {
      const first = Math.max(0, start - context);
      const end = Math.min(total, first + longest);
      const stop = end === total ? end : end - context;
      const feeds = {
        vectors: this.floats([...vectors.slice(0, known), ...vectors.slice(known + first, known + end)]),
        features: this.floats([...blank, ...features.slice(first, end)]),
      };
      const { logits } = await this.page.run(feeds);
      const rows = Array.from({ length: logits.dims[0] }, (_, i) => rowOf(logits, i));
      out.push(...rows.slice(known + start - first, known + stop - first).map((row) => [...row]));
      start = stop;
    }
    return out;
  }

  /** A vector of each text: distinct ones are read once, those of about equal length together. */
  async vectors(words) {
    const keys = words.map(String);
    const groups = [];
    const open = new Map();
    for (const [key, ids] of new Map(keys.map((key, i) => [key, words[i]]))) {
      const most = [2, 4, 8, 14].find((n) => ids.length <= n) ?? Infinity;
      if ((open.get(most)?.length ?? 2048) === 2048) groups.push(open.set(most, []).get(most));
      open.get(most).push([key, ids]);
    }
    const found = new Map();
    for (const group of groups) {
      const longest = Math.max(2, ...group.map(([, ids]) => ids.length));
      const distinct = [...new Set(group.flatMap(([, ids]) => ids))];
      const places = new Map(distinct.map((id, i) => [id, i + 1]));
      // A graph's product of one row is rounded another way.
      const two = (rows) => (rows.length > 1 ? rows : [...rows, ...rows]);
      const rows = two(group).flatMap(([, ids]) => Array.from({ length: longest }, (_, i) => places.get(ids[i]) ?? 0));
      const { vectors } = await this.paragraphs.run({
        words: this.integers(two(distinct), [two(distinct).length]),
        places: this.integers(rows, [rows.length / longest, longest]),
      });
      group.forEach(([key], i) => found.set(key, rowOf(vectors, i)));
    }
    return keys.map((key) => found.get(key));
  }

  floats(rows) {
    const data = new Float32Array(rows.length * rows[0].length);
    rows.forEach((row, i) => data.set(row, i * row.length));
    return new this.ort.Tensor("float32", data, [rows.length, rows[0].length]);
  }

  integers(values, dims) {
    return new this.ort.Tensor("int64", BigInt64Array.from(values, BigInt), dims);
  }
}

function rowOf({ data, dims }, i) {
  return data.slice(i * dims[1], (i + 1) * dims[1]);
}
