interface Props {
  values: readonly number[];
  /** How many values the whole width stands for; a line that is still young begins further right. */
  capacity: number;
  label: string;
  className?: string | undefined;
}

const WIDTH = 120;
const HEIGHT = 32;
const INSET = 2;

/** How a number went, without axes: the number itself stands beside it. */
export function Sparkline({ values, capacity, label, className }: Props) {
  if (values.length < 2) return <svg className={className} viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden />;
  const low = Math.min(...values);
  const span = Math.max(...values) - low || 1;
  const flat = values.every((value) => value === low);
  const points = values.map((value, at) => {
    const x = WIDTH - ((values.length - 1 - at) / (capacity - 1)) * WIDTH;
    const y = flat ? HEIGHT / 2 : HEIGHT - INSET - ((value - low) / span) * (HEIGHT - 2 * INSET);
    return [x, y] as const;
  });
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ');
  const [firstX] = points[0] ?? [0];
  return (
    <svg
      className={className}
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <polygon points={`${firstX.toFixed(1)},${HEIGHT} ${line} ${WIDTH},${HEIGHT}`} />
      <polyline points={line} vectorEffect="non-scaling-stroke" />
    </svg>
  );
}
