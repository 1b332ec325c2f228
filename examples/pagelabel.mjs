/**
 * The fast model in JavaScript: the paragraphs of a web page to labels, in Node or a browser.
 *
 *     import * as ort from "onnxruntime-node";          // or "onnxruntime-web"
 *     const labeler = await Labeler.load((name) => readFile(`model/fast/${name}`), ort);
 *     const { labels, scores } = await labeler.label({ paragraphs: ["Mayor resigns", "Donate now"] });
 *
 * What is done here and why is told by the Python files that each part names; `label.mjs` checks that both agree.
 */

// Python's str.isspace, str.split, str.strip and \s: JavaScript's \s has U+FEFF and lacks U+001C to U+001F and U+0085.
const SPACE = "\\t-\\r\\x1c- \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const SPACES = new RegExp(`[${SPACE}]+`, "u");
const IS_SPACE = new RegExp(`[${SPACE}]`, "u");
const WORD = String.raw`\p{L}\p{N}_`;
// str.isdigit: the decimals, and digits that are superscripts or in circles.
const DIGIT =
  /[\p{Nd}\xb2\xb3\xb9\u1369-\u1371\u19da\u2070\u2074-\u2079\u2080-\u2089\u2460-\u2468\u2474-\u247c\u2488-\u2490\u24ea\u24f5-\u24fd\u24ff\u2776-\u277e\u2780-\u2788\u278a-\u2792\u{10a40}-\u{10a43}\u{10e60}-\u{10e68}\u{11052}-\u{1105a}\u{1f100}-\u{1f10a}]/gu;
const LETTER = /\p{L}/gu;
const CAPITAL = /\p{Uppercase}/gu;

// Loops, as an expression that looks for white space at the end takes time in the square of a run elsewhere.
const stripEnd = (text, isOut) => {
  let end = text.length;
  while (end && isOut(text[end - 1])) end--;
  return text.slice(0, end);
};
const isSpace = (character) => IS_SPACE.test(character);
const strip = (text) => {
  let start = 0;
  while (start < text.length && isSpace(text[start])) start++;
  return stripEnd(text.slice(start), isSpace);
};
const split = (text) => text.split(SPACES).filter(Boolean);
const oneOf = (characters) => (character) => characters.includes(character);
const count = (text, pattern) => text.match(pattern)?.length ?? 0;
const isCapital = (text) => /^\p{Uppercase}/u.test(text);
const isSmall = (text) => /^\p{Lowercase}/u.test(text);
const sum = (numbers) => numbers.reduce((total, x) => total + x, 0);
const log = (x, whole) => Math.min(1, Math.log2(1 + x) / whole);

/** Python counts code points, JavaScript UTF-16 units: the two differ where there are surrogates. */
const hasSurrogates = (text) => /[\ud800-\udfff]/.test(text);
const size = (text) => (hasSurrogates(text) ? [...text].length : text.length);
const head = (text, n) => (hasSurrogates(text) ? [...text].slice(0, n).join("") : text.slice(0, n));
const tail = (text, n) => (hasSurrogates(text) ? [...text].slice(-n).join("") : text.slice(-n));

// ---- model/lines.py -------------------------------------------------------------------------------------------------

const CLOSING = oneOf(" \t\r\n\"'”’)]»");

/** How many lines each paragraph that is read is made of, number[]. */
export function joinedLines(texts) {
  const lines = texts.map(strip);
  const ended = [true, ...lines.map((line) => /[.!?…:;]$/u.test(stripEnd(line, CLOSING)))];
  const begins = lines.filter((_, i) => ended[i]);
  const lower = begins.filter(isSmall).length;
  if (lower >= 2 && lower > 2 * begins.filter(isCapital).length) return lines.map(() => 1);
  const sizes = [];
  let read = 0;
  lines.forEach((line, i) => {
    const length = size(line);
    const goesOn = !ended[i] && read >= 40 && isSmall(line) && (ended[i + 1] || length >= 25);
    if (goesOn) sizes[sizes.length - 1]++;
    else sizes.push(1);
    read = length + (goesOn ? read + 1 : 0);
  });
  return sizes;
}

/** The page as it is read, with what `joinedLines` says made one; `link` becomes the mean by characters. */
function asRead(page, sizes) {
  if (sizes.length === page.paragraphs.length) return page;
  const paragraphs = [];
  const link = page.link && [];
  let start = 0;
  for (const lines of sizes) {
    const run = page.paragraphs.slice(start, start + lines);
    paragraphs.push(lines > 1 ? run.map(strip).join(" ") : run[0]);
    if (link) {
      const weights = run.map((text) => 1 + size(text));
      link.push(sum(weights.map((weight, i) => weight * page.link[start + i])) / sum(weights));
    }
    start += lines;
  }
  return { ...page, paragraphs, link };
}

// ---- model/features.py ----------------------------------------------------------------------------------------------

const MARKS = /[“„«"‘']/gu;
const QUOTE = new RegExp(
  `“[^”]*(?:”|$)|„[^“”]*(?:[“”]|$)|«[^»]*(?:»|$)|"[^"]{1,3000}"|^"[^"]+$` +
    `|(?<![${WORD}])‘.{1,3000}?’(?![${WORD}])|^‘.+$` +
    `|(?<![${WORD}'])'(?=[${WORD}]).{1,3000}?'(?![${WORD}])|^'(?=[${WORD}]).+$`,
  "suy",
);

const CLOSERS = oneOf("\"'”’»)]");

function quotedShare(text, words) {
  let inside = 0;
  MARKS.lastIndex = 0;
  for (let mark = MARKS.exec(text); mark; mark = MARKS.exec(text)) {
    QUOTE.lastIndex = mark.index;
    const quote = QUOTE.exec(text);
    if (!quote) continue;
    inside += split(quote[0].replace(/^[“”„«»"‘’']+|[“”„«»"‘’']+$/gu, "")).length;
    MARKS.lastIndex = QUOTE.lastIndex;
  }
  return Math.min(1, inside / Math.max(1, words));
}

function ownFeatures(text) {
  const sample = head(text, 20_000);
  const words = split(sample);
  const all = sample === text ? words.length : split(text).length;
  const end = stripEnd(stripEnd(tail(text, 8), isSpace), CLOSERS);
  const stop = /[.!?…。！？]$/u.test(end);
  const row = [
    1,
    log(all, 8),
    log(size(text), 12),
    quotedShare(sample, words.length),
    Number(stop),
    words.filter(isCapital).length / Math.max(1, words.length),
    Math.min(1, count(sample, CAPITAL) / Math.max(1, count(sample, LETTER))),
    count(sample, DIGIT) / Math.max(1, size(sample)),
  ];
  return { row, prose: stop && all >= 15 ? all : 0 };
}

/** How far behind the last paragraph of prose each one is. */
function distances(prose) {
  let last = -1;
  return prose.map((words, i) => {
    const far = last < 0 ? 1 : log(i - last, 8);
    if (words) last = i;
    return far;
  });
}

/** What is known of each paragraph beside its words, number[][]. `link` has percentages, or is null. */
export function features(paragraphs, link) {
  const known = new Map();
  const times = new Map();
  for (const text of paragraphs) {
    if (!known.has(text)) known.set(text, ownFeatures(text));
    times.set(text, (times.get(text) ?? 0) + 1);
  }
  const total = paragraphs.length;
  const prose = paragraphs.map((text) => known.get(text).prose);
  const until = distances([...prose].reverse()).reverse();
  const since = distances(prose);
  const allProse = sum(prose);
  let before = 0;
  return paragraphs.map((text, i) => {
    const row = [
      ...known.get(text).row,
      Number(times.get(text) > 1),
      (i + 0.5) / total,
      log(total, 12),
      log(before, 12),
      log(allProse - before - prose[i], 12),
      since[i],
      until[i],
      link ? link[i] / 100 : 0,
      link ? 1 : 0,
    ];
    before += prose[i];
    return row;
  });
}

// ---- model/words.py, model/about.py ---------------------------------------------------------------------------------

const TOKEN = new RegExp(String.raw`[\p{L}\p{Nl}\p{No}]+|\p{Nd}+|[^${WORD}${SPACE}]|_`, "gu");
const STARTS_WITH_DIGIT = new RegExp(`^${DIGIT.source}`, "u");

class Words {
  constructor(vocabulary, config) {
    this.config = config;
    this.ids = new Map(vocabulary.map((word, i) => [word, i + 1]));
    this.numbers = 1 + vocabulary.length;
  }

  /** Ids of a paragraph's first and last words, number[]; [0] where there is none. */
  of(text) {
    const { head_words: first, tail_words: last } = this.config;
    const find = (part) => part.toLowerCase().match(TOKEN) ?? [];
    let words;
    if (size(text) <= (first + last) * 12) {
      words = find(text);
      if (words.length > first + last) words.splice(first, words.length - first - last);
    } else {
      const end = last ? find(tail(text, last * 12)).slice(-last) : [];
      words = [...find(head(text, first * 12)).slice(0, first), ...end];
    }
    return words.length ? words.map((word) => this.ids.get(word) ?? this.unknown(word)) : [0];
  }

  unknown(word) {
    if (STARTS_WITH_DIGIT.test(word)) return this.numbers + Math.min(size(word), 6) - 1;
    return this.numbers + 6 + (crc32(tail(word, 3)) % this.config.buckets);
  }
}

const CRC = Uint32Array.from({ length: 256 }, (_, i) => {
  for (let bit = 0; bit < 8; bit++) i = i & 1 ? 0xedb88320 ^ (i >>> 1) : i >>> 1;
  return i;
});

function crc32(text) {
  // Python puts "?" for a surrogate that stands alone.
  const bytes = new TextEncoder().encode(text.replace(/\p{Surrogate}/gu, "?"));
  return ~bytes.reduce((crc, byte) => CRC[(crc ^ byte) & 255] ^ (crc >>> 8), ~0) >>> 0;
}

/** The texts that stand before a page's paragraphs: its title and its address, where they are known. */
function about(page, names) {
  const scheme = new RegExp(`^[${SPACE}]*(?:[a-z]+://)?(?:www\\.)?`, "i");
  const text = (value) => (typeof value === "string" ? value : "");
  const known = { title: text(page.title), url: text(page.url).replace(scheme, "") };
  return names.map((name) => strip(known[name])).filter(Boolean);
}

// ---- model/bundle.py, model/decoding.py -----------------------------------------------------------------------------

/** Labels and their probabilities of logits, number[][]. */
export function decide(logits, config) {
  const probabilities = logits.map((row) => {
    const most = Math.max(...row);
    const exponents = row.map((x) => Math.exp((x - most) / config.temperature));
    return exponents.map((x) => x / sum(exponents));
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

  /** What the graphs are given of a page: `lines` of each paragraph, `words` of each text, `features`. */
  encode(page) {
    const { about: names, join_lines: join } = this.config.encoding;
    const known = { ...page, link: isLink(page.link, page.paragraphs.length) ? page.link : null };
    const lines = join ? joinedLines(page.paragraphs) : page.paragraphs.map(() => 1);
    const read = asRead(known, lines);
    const texts = [...about(page, names), ...read.paragraphs];
    return { lines, words: texts.map((text) => this.words.of(text)), features: features(read.paragraphs, read.link) };
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

/** As data/page.py: one of another length, or with anything else in it, is not read. */
function isLink(link, length) {
  const isPercent = (x) => typeof x === "number" && x >= 0 && x <= 100;
  return Array.isArray(link) && link.length === length && link.every(isPercent);
}

function rowOf({ data, dims }, i) {
  return data.slice(i * dims[1], (i + 1) * dims[1]);
}
