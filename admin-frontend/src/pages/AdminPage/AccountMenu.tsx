import {
  DesktopOutlined,
  KeyOutlined,
  LogoutOutlined,
  MoonOutlined,
  SunOutlined,
  TranslationOutlined,
} from '@ant-design/icons';
import { Button, Dropdown, type MenuProps } from 'antd';

import type { Claims } from '../../app/token';
import type { Preferences, ThemeChoice } from '../../app/preferences';
import { useNow } from '../../hooks/useNow';
import { LANGUAGES, type Locale, useFormat, useMessages } from '../../i18n';
import styles from './Header.module.css';

const THEMES = { system: <DesktopOutlined />, light: <SunOutlined />, dark: <MoonOutlined /> };

interface Props {
  claims: Claims | null;
  preferences: Preferences;
  onChangeToken: () => void;
  onSignOut: () => void;
}

/** Whose token it is and how long it is good; language, appearance, and the way out. */
export function AccountMenu({ claims, preferences, onChangeToken, onSignOut }: Props) {
  const { page } = useMessages();
  const name = claims?.username ?? '?';
  const items: MenuProps['items'] = [
    { type: 'group', key: 'who', label: <Who claims={claims} /> },
    { type: 'divider' },
    // Entries beside their headings, not inside: inside they are indented, and no icon stands below another.
    { type: 'group', key: 'language', label: page.language },
    ...Object.entries(LANGUAGES).map(([locale, language]) => ({
      key: `locale:${locale}`,
      icon: <TranslationOutlined />,
      label: <span lang={locale}>{language.name}</span>,
    })),
    { type: 'group', key: 'theme', label: page.theme },
    ...Object.entries(THEMES).map(([theme, icon]) => ({
      key: `theme:${theme}`,
      icon,
      label: page.themes[theme as ThemeChoice],
    })),
    { type: 'divider' },
    { key: 'token', icon: <KeyOutlined />, label: page.changeToken },
    { key: 'leave', icon: <LogoutOutlined />, label: page.signOut },
  ];
  const choose: MenuProps['onClick'] = ({ key }) => {
    const [what, value] = key.split(':');
    if (what === 'locale') preferences.setLocale(value as Locale);
    else if (what === 'theme') preferences.setTheme(value as ThemeChoice);
    else if (what === 'token') onChangeToken();
    else onSignOut();
  };
  return (
    <Dropdown
      trigger={['click']}
      placement="bottomRight"
      getPopupContainer={(button) => button.parentElement ?? document.body} // within the header's landmark
      menu={{
        items,
        onClick: choose,
        selectedKeys: [`locale:${preferences.locale}`, `theme:${preferences.theme}`],
      }}
    >
      <Button
        type="text"
        aria-label={`${page.account}: ${name}`}
        aria-haspopup="menu"
        icon={
          <span className={styles['avatar']} aria-hidden>
            {Array.from(name)[0]}
          </span>
        }
      />
    </Dropdown>
  );
}

function Who({ claims }: { claims: Claims | null }) {
  const { page, time } = useMessages();
  const format = useFormat();
  const now = useNow(15_000);
  if (!claims) return page.account;
  const left = format.relative(claims.expiresAt, now) ?? time.justNow;
  return (
    <>
      <div className={styles['who']}>{page.signedInAs(claims.username)}</div>
      <div className={styles['expiry']}>{claims.expiresAt > now ? page.tokenExpires(left) : page.tokenExpired}</div>
    </>
  );
}
