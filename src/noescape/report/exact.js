// Exact one-sided 95% binomial bounds (Clopper-Pearson), for rates that change while the threshold moves.

/** ln Γ(x) for x > 0: Stirling's series, after stepping x up to where the series is accurate (|error| < 1e-12). */
function lnGamma(x) {
  let shift = 0;
  while (x < 12) {
    shift -= Math.log(x);
    x += 1;
  }
  const r = 1 / x, r2 = r * r;
  const series = r * (1 / 12 - r2 * (1 / 360 - r2 * (1 / 1260 - r2 / 1680)));
  return shift + (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}

/** Regularised incomplete beta I_x(a, b) by its continued fraction, on the side where that converges fast. */
function betaShare(x, a, b) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - betaShare(1 - x, b, a);
  const front = Math.exp(lnGamma(a + b) - lnGamma(a) - lnGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  const tiny = 1e-300;
  let c = 1, d = 1 / (Math.abs(1 - (a + b) * x / (a + 1)) < tiny ? tiny : 1 - (a + b) * x / (a + 1)), value = d;
  for (let m = 1; m < 5000; m += 1) {
    for (const term of [
      m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
      -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
    ]) {
      d = 1 + term * d;
      c = 1 + term / c;
      d = 1 / (Math.abs(d) < tiny ? tiny : d);
      if (Math.abs(c) < tiny) c = tiny;
      value *= c * d;
    }
    if (Math.abs(c * d - 1) < 1e-14) break;
  }
  return front * value;
}

function betaQuantile(share, a, b) {
  let low = 0, high = 1;
  for (let i = 0; i < 60; i += 1) {
    const middle = (low + high) / 2;
    if (betaShare(middle, a, b) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/** The largest rate that `events` of `n` leave possible, with 95% confidence. */
function upperBound(events, n) {
  return events >= n ? 1 : betaQuantile(0.95, events + 1, n - events);
}

/** 0.0213 as "2.1%", as the server prints it; `turn` is Math.round, or Math.ceil for an upper bound. */
function percent(value, turn = Math.round) {
  const points = 100 * value, side = Math.min(points, 100 - points);
  if (side <= 0) return `${points.toFixed(0)}%`;
  const digits = side >= 1 ? 1 : side >= 0.1 ? 2 : side >= 0.01 ? 3 : 4;
  const scaled = points * 10 ** digits;
  const turned = turn === Math.ceil ? Math.ceil(scaled - 1e-6) : turn(scaled);
  return `${(turned / 10 ** digits).toFixed(digits)}%`;
}
