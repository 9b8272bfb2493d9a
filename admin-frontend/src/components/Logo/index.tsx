/** The mark: a frame that plays, and what goes out from it. */
export function Logo({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" fill="none" aria-hidden focusable="false">
      <rect width="32" height="32" rx="8" fill="var(--rt-text)" />
      <path
        d="M8 9.8v12.4c0 .8.9 1.3 1.6.9l9.6-6.2c.6-.4.6-1.3 0-1.7L9.6 8.9C8.9 8.5 8 9 8 9.8Z"
        fill="var(--rt-panel)"
      />
      <path
        d="M22 10.5a8 8 0 0 1 0 11M25 7.6a12 12 0 0 1 0 16.8"
        stroke="var(--rt-panel)"
        strokeWidth="2"
        strokeLinecap="round"
      />
    </svg>
  );
}
