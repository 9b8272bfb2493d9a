interface Props {
  values: readonly number[];
  /** How many values the whole width stands for at most; a young line is stretched, a very young one begins further right. */
  capacity: number;
  label: string;
  className?: string | undefined;
}

const WIDTH = 120;
const HEIGHT = 32;
const INSET = 1;
const YOUNG = 12;

/** How a number went until now, which is the right edge, from zero up; without axes: the number itself stands beside it. */
export function Sparkline({ values, capacity, label, className }: Props) {
  const ground = <line x1="0" y1={HEIGHT} x2={WIDTH} y2={HEIGHT} vectorEffect="non-scaling-stroke" />;
  const frame = { className, viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: 'none' };
  if (values.length < 2) {
    return (
      <svg {...frame} aria-hidden>
        {ground}
      </svg>
    );
  }
  const top = Math.max(...values, 1) * 1.15;
  const places = Math.min(capacity, Math.max(values.length, YOUNG));
  const points = values.map((value, at) => {
    const x = WIDTH - ((values.length - 1 - at) / (places - 1)) * WIDTH;
    const y = HEIGHT - INSET - (value / top) * (HEIGHT - INSET);
    return [x, y] as const;
  });
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
  const [[firstX] = [0]] = points;
  return (
    <svg {...frame} role="img" aria-label={label}>
      {ground}
      <polygon points={`${firstX.toFixed(1)},${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
      <polyline points={line} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
