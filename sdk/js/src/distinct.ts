/**
 * Whether no member of a JSON object stands twice, and none of the known ones is
 * spelled in another case: of two, one reader takes the first and another the last
 * (RFC 7519 §4, RFC 8259 §4), and some take no notice of case. Names that differ in
 * case alone count as one, and an escaped name as twice, since it may be any. Only the
 * object's own members count, not those of what is in it.
 *
 * `text` is valid JSON, and an object.
 */
export function distinct(text: string, known: readonly string[]): boolean {
  const seen = new Set<string>();
  const spelled = new Map(known.map((name) => [fold(name), name]));
  let depth = 0;
  let isName = false;
  for (let i = 0; i < text.length; i++) {
    switch (text[i]) {
      case "{":
      case "[":
        isName = ++depth === 1;
        break;
      case "}":
      case "]":
        depth--;
        break;
      case ",":
        isName = depth === 1;
        break;
      case '"': {
        const start = i + 1;
        for (i++; text[i] !== '"'; i++) {
          if (text[i] !== "\\") continue;
          if (isName) return false;
          i++; // whatever is escaped ends nothing
        }
        if (!isName) break;
        const name = text.slice(start, i);
        const folded = fold(name);
        if (seen.has(folded) || (spelled.get(folded) ?? name) !== name) return false;
        seen.add(folded);
        isName = false;
      }
    }
  }
  return true;
}

/** Without case, as Go folds it: the long s is an s, and the Kelvin sign a k. */
function fold(name: string): string {
  return name.toUpperCase().toLowerCase();
}
