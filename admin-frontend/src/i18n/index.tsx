import { createContext, type ReactNode, useContext, useMemo } from 'react';

import { en } from './en';
import { type Format, formatFor } from './format';
import { type Messages, zhCN } from './zh-CN';

export type { Format, Messages };
export type Locale = 'zh-CN' | 'en';

export const LANGUAGES: Readonly<Record<Locale, Messages>> = { 'zh-CN': zhCN, en };

/** Chinese for browsers that prefer any kind of Chinese, English for all others. */
export function browserLocale(languages: readonly string[] = globalThis.navigator.languages): Locale {
  const known = languages.find((language) => /^(zh|en)\b/i.test(language));
  return known?.toLowerCase().startsWith('zh') ? 'zh-CN' : 'en';
}

const LocaleContext = createContext<Locale | null>(null);

/** Set the language of everything inside; without it, components follow the browser. */
export function LocaleProvider({ locale, children }: { locale: Locale; children: ReactNode }) {
  return <LocaleContext value={locale}>{children}</LocaleContext>;
}

export function useLocale(): Locale {
  const chosen = useContext(LocaleContext);
  return useMemo(() => chosen ?? browserLocale(), [chosen]);
}

/** What the interface says, in the reader's language. */
export function useMessages(): Messages {
  return LANGUAGES[useLocale()];
}

export function useFormat(): Format {
  return formatFor(useLocale());
}
