interface Props {
  values: readonly number[];
  /** How many values the whole width stands for at most; a young line is stretched, a very young one ends further left. */
  capacity: number;
  label: string;
  className?: string | undefined;
}

const WIDTH = 120;
const HEIGHT = 32;
const INSET = 1;
const YOUNG = 12;

/** How a number went, from zero up, without axes: the number itself stands beside it. */
export function Sparkline({ values, capacity, label, className }: Props) {
  if (values.length < 2) return <svg className={className} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden />;
  const top = Math.max(...values, 1) * 1.15;
  const places = Math.min(capacity, Math.max(values.length, YOUNG));
  const points = values.map((value, at) => {
    const x = (at / (places - 1)) * WIDTH;
    const y = HEIGHT - INSET - (value / top) * (HEIGHT - INSET);
    return [x, y] as const;
  });
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
  const [lastX] = points.at(-1) ?? [0];
  return (
    <svg
      className={className}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <polygon points={`0,${HEIGHT} ${line} ${lastX.toFixed(1)},${HEIGHT}`} />
      <polyline points={line} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
