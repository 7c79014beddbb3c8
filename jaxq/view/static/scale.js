// One colour scale for every value on the page: loss in plum, nothing in sand, gain in sea green.

const STOPS = [
  [-1, [112, 40, 94]],
  [-0.5, [196, 86, 98]],
  [-0.15, [236, 163, 125]],
  [0, [244, 228, 193]],
  [0.25, [178, 213, 180]],
  [0.55, [74, 165, 155]],
  [1, [14, 84, 112]],
];

export function rgb(value) {
  const v = Math.max(-1, Math.min(1, value));
  const upper = Math.max(1, STOPS.findIndex(([at]) => at >= v));
  const [low, from] = STOPS[upper - 1];
  const [high, to] = STOPS[upper];
  const share = (v - low) / (high - low);
  return from.map((channel, i) => Math.round(channel + share * (to[i] - channel)));
}

export function colour(value, shade = 1) {
  return `rgb(${rgb(value).map((channel) => Math.round(channel * shade)).join(" ")})`;
}

/** Black or white, whichever contrasts more with the colour of a value. */
export function inkOn(value) {
  const [r, g, b] = rgb(value).map((channel) => {
    const share = channel / 255;
    return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

/** The highest of the values that there are, null where there are none. */
export function highest(values) {
  const known = values.filter((value) => value != null);
  return known.length ? Math.max(...known) : null;
}

/** Two decimals without the zero before the point, fewer of large numbers, with a true minus. */
export function short(value) {
  if (value == null) return "–";
  const size = Math.abs(value);
  const text = size.toFixed(size < 9.995 ? 2 : size < 99.95 ? 1 : 0).replace(/^0\./, ".");
  return (value <= -0.005 ? "−" : "") + text;
}

export function long(value, digits = 4) {
  if (value == null) return "–";
  return (value < 0 ? "−" : "") + Math.abs(value).toFixed(digits);
}
