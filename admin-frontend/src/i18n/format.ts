/** Numbers, sizes and times as a language writes them; formatters are made once per language, which Intl is slow at. */

export interface Format {
  number(value: number): string;
  percent(value: number): string;
  bytes(value: number): string;
  /** 14:03:21 today, with its date otherwise. */
  clock(at: number, now: number): string;
  /** The whole moment, for tooltips. */
  moment(at: number): string;
  /** “2 minutes ago”, “in 3 hours”; null for what is nearer than ten seconds. */
  relative(at: number, now: number): string | null;
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
] as const;
const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const JUST_NOW = 10_000; // ms

const made = new Map<string, Format>();

export function formatFor(locale: string): Format {
  const known = made.get(locale);
  if (known) return known;
  const format = make(locale);
  made.set(locale, format);
  return format;
}

function make(locale: string): Format {
  const integer = new Intl.NumberFormat(locale, { maximumFractionDigits: 0 });
  const short = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
  const time = new Intl.DateTimeFormat(locale, { timeStyle: 'medium', hourCycle: 'h23' });
  const dayTime = new Intl.DateTimeFormat(locale, {
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    hourCycle: 'h23',
  });
  const whole = new Intl.DateTimeFormat(locale, { dateStyle: 'medium', timeStyle: 'medium', hourCycle: 'h23' });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: 'always', style: 'short' });
  return {
    number: (value) => integer.format(value),
    percent: (value) => `${integer.format(Math.floor(value))}%`, // 99.7 is not yet 100
    bytes(value) {
      const power = value < 1000 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(value) / 3));
      return `${short.format(value / 1000 ** power)}\u00a0${SIZES[power] ?? ''}`; // one word: no line ends within
    },
    clock: (at, now) => (new Date(at).toDateString() === new Date(now).toDateString() ? time : dayTime).format(at),
    moment: (at) => whole.format(at),
    relative(at, now) {
      const distance = at - now;
      if (Math.abs(distance) < JUST_NOW) return null;
      const [unit, size] = UNITS.find(([, length]) => Math.abs(distance) >= length) ?? ['second', 1000];
      return relative.format(Math.trunc(distance / size), unit);
    },
  };
}
