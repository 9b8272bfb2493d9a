import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useEffect, useId, useState } from 'react';

import { type Preferences } from '../../app/preferences';
import { Logo } from '../../components/Logo';
import { LANGUAGES, type Locale, useMessages } from '../../i18n';
import styles from './SignIn.module.css';
import { TokenForm } from './TokenForm';

const COMMAND = 'videosite-realtime token admin 1 --scope publish';

interface Props {
  preferences: Preferences;
  onToken: (token: string) => void;
}

/** The way in: where a token is entered, and where one comes from. */
export function SignIn({ preferences, onToken }: Props) {
  const messages = useMessages();
  const { signIn } = messages;
  const title = useId();
  useEffect(() => {
    document.title = `${messages.signIn.submit} · VideoSite`;
  }, [messages]);
  return (
    <main className={styles['page']}>
      <section className={styles['card']} aria-labelledby={title}>
        <Logo size={40} />
        <h1 id={title} className={styles['title']}>
          {signIn.title}
        </h1>
        <p className={styles['intro']}>{signIn.intro}</p>
        <TokenForm submit={signIn.submit} onToken={onToken} />
        <div className={styles['help']}>
          <h2>{signIn.where}</h2>
          <p>{signIn.whereLocal}</p>
          <Command />
          <p>{signIn.whereProduction}</p>
        </div>
      </section>
      <nav className={styles['languages']} aria-label={messages.page.language}>
        {Object.entries(LANGUAGES).map(([locale, language]) => (
          <button
            key={locale}
            type="button"
            lang={locale}
            aria-pressed={locale === preferences.locale}
            onClick={() => {
              preferences.setLocale(locale as Locale);
            }}
          >
            {language.name}
          </button>
        ))}
      </nav>
    </main>
  );
}

function Command() {
  const { signIn } = useMessages();
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => {
      setCopied(false);
    }, 2000);
    return () => {
      clearTimeout(timer);
    };
  }, [copied]);
  return (
    <div className={styles['command']}>
      <code tabIndex={0}>
        <span aria-hidden>$ </span>
        {COMMAND}
      </code>
      <Button
        type="text"
        size="small"
        aria-label={copied ? signIn.copied : signIn.copy}
        icon={copied ? <CheckOutlined /> : <CopyOutlined />}
        onClick={() => {
          void navigator.clipboard.writeText(COMMAND).then(() => {
            setCopied(true);
          });
        }}
      />
    </div>
  );
}
