import { useCallback, useState } from 'react';

import { useMedia } from '../hooks/useMedia';
import { browserLocale, type Locale } from '../i18n';
import type { ThemeMode } from '../theme';

export type ThemeChoice = 'system' | ThemeMode;

export interface Preferences {
  locale: Locale;
  theme: ThemeChoice;
  setLocale(locale: Locale): void;
  setTheme(theme: ThemeChoice): void;
}

/** Language and appearance: what was chosen here before, otherwise what browser and system say. */
export function usePreferences(): Preferences {
  const [locale, setLocale] = useStored<Locale>('locale', ['zh-CN', 'en'], browserLocale);
  const [theme, setTheme] = useStored<ThemeChoice>('theme', ['system', 'light', 'dark'], () => 'system');
  return { locale, theme, setLocale, setTheme };
}

export function useThemeMode(choice: ThemeChoice): ThemeMode {
  const prefersDark = useMedia('(prefers-color-scheme: dark)');
  return choice === 'system' ? (prefersDark ? 'dark' : 'light') : choice;
}

function useStored<T extends string>(key: string, known: readonly T[], fallback: () => T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => {
    const stored = localStorage.getItem(key);
    return known.find((each) => each === stored) ?? fallback();
  });
  const store = useCallback(
    (next: T) => {
      localStorage.setItem(key, next);
      setValue(next);
    },
    [key],
  );
  return [value, store];
}
