/**
 * What the fast model's graphs are given of a page: whole words and features of its paragraphs, as Python computes them.
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
const matches = (text, pattern) => text.match(pattern)?.length ?? 0;
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
function joinedLines(texts) {
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
    Math.min(1, matches(sample, CAPITAL) / Math.max(1, matches(sample, LETTER))),
    matches(sample, DIGIT) / Math.max(1, size(sample)),
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

/** The first `count` features of each paragraph, number[][]. `link` has percentages, or is null. */
function features(paragraphs, link, count) {
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
    return row.slice(0, count);
  });
}

// ---- model/words.py, model/about.py ---------------------------------------------------------------------------------

const TOKEN = new RegExp(String.raw`[\p{L}\p{Nl}\p{No}]+|\p{Nd}+|[^${WORD}${SPACE}]|_`, "gu");
const STARTS_WITH_DIGIT = new RegExp(`^${DIGIT.source}`, "u");

export class Words {
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
  // Python takes these four for letters of a to z, too, where case does not count.
  const scheme = new RegExp(`^[${SPACE}]*(?:[a-z\\u0130\\u0131\\u017f\\u212a]+://)?(?:www\\.)?`, "i");
  const text = (value) => (typeof value === "string" ? value : "");
  const known = { title: text(page.title), url: text(page.url).replace(scheme, "") };
  return names.map((name) => strip(known[name])).filter(Boolean);
}

/** As data/page.py: one of another length, or with anything else in it, is not read. */
function isLink(link, length) {
  const isPercent = (x) => typeof x === "number" && x >= 0 && x <= 100;
  return Array.isArray(link) && link.length === length && link.every(isPercent);
}

/**
 * @param page as `Labeler.label` takes it
 * @param words of the bundle
 * @param encoding of the bundle's config
 * @returns {lines, words, features}: how many lines each paragraph that is read is made of, number[]; ids of each text,
 *     those of title and address first, number[][]; features of each paragraph, number[][]
 */
export function encode(page, words, encoding) {
  const known = { ...page, link: isLink(page.link, page.paragraphs.length) ? page.link : null };
  const lines = encoding.join_lines ? joinedLines(page.paragraphs) : page.paragraphs.map(() => 1);
  const read = asRead(known, lines);
  const texts = [...about(page, encoding.about), ...read.paragraphs];
  return {
    lines,
    words: texts.map((text) => words.of(text)),
    features: features(read.paragraphs, read.link, encoding.features.length),
  };
}
