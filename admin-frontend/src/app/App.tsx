import { ConfigProvider } from 'antd';
import enUS from 'antd/locale/en_US';
import zhCN from 'antd/locale/zh_CN';
import { useEffect, useMemo } from 'react';

import { WebSocketProvider } from '../contexts/WebSocketContext';
import { useMedia } from '../hooks/useMedia';
import { LocaleProvider } from '../i18n';
import { AdminPage } from '../pages/AdminPage';
import { SignIn } from '../pages/SignIn';
import { themeFor, type ThemeMode, useThemeVariables } from '../theme';
import { type Preferences, usePreferences, useThemeMode } from './preferences';
import { claimsOf, storeToken, useToken } from './token';

export function App() {
  const preferences = usePreferences();
  const mode = useThemeMode(preferences.theme);
  const motion = !useMedia('(prefers-reduced-motion: reduce)');
  const theme = useMemo(() => themeFor(mode, motion), [mode, motion]);
  useEffect(() => {
    document.documentElement.lang = preferences.locale;
  }, [preferences.locale]);
  return (
    <ConfigProvider
      theme={theme}
      locale={preferences.locale === 'en' ? enUS : zhCN}
      wave={{ disabled: true }}
      button={{ autoInsertSpace: false }}
    >
      <LocaleProvider locale={preferences.locale}>
        <Ground mode={mode} />
        <Gate preferences={preferences} />
      </LocaleProvider>
    </ConfigProvider>
  );
}

/** The page or the way in, by whether there is a token. */
function Gate({ preferences }: { preferences: Preferences }) {
  const token = useToken();
  const claims = useMemo(() => (token === null ? null : claimsOf(token)), [token]);
  const signOut = (): void => {
    storeToken(null);
  };
  if (token === null) return <SignIn preferences={preferences} onToken={storeToken} />;
  return (
    // Another person's token is another session, with a history of its own.
    <WebSocketProvider isAdmin acknowledge key={claims?.userId}>
      <AdminPage claims={claims} preferences={preferences} onSignOut={signOut} />
    </WebSocketProvider>
  );
}

/** The theme's colours for the document itself, whose background shows beyond the page's ends. */
function Ground({ mode }: { mode: ThemeMode }) {
  const variables = useThemeVariables();
  useEffect(() => {
    const { style } = document.documentElement;
    style.colorScheme = mode;
    for (const [name, value] of Object.entries(variables)) style.setProperty(name, String(value));
  }, [variables, mode]);
  return null;
}
