import { CheckOutlined, CopyOutlined } from '@ant-design/icons';
import { Button, Input } from 'antd';
import { useEffect, useId, useState } from 'react';

import { type Preferences } from '../../app/preferences';
import { claimsOf } from '../../app/token';
import { Logo } from '../../components/Logo';
import { LANGUAGES, type Locale, type Messages, useMessages } from '../../i18n';
import styles from './SignIn.module.css';

const COMMAND = 'videosite-realtime token admin 1 --scope publish';

interface Props {
  preferences: Preferences;
  onToken: (token: string) => void;
}

/** Where a token is entered. What the server would refuse anyway is said here at once. */
export function SignIn({ preferences, onToken }: Props) {
  const messages = useMessages();
  const { signIn } = messages;
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [field, note, title] = [useId(), useId(), useId()];
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
        <form
          noValidate
          onSubmit={(event) => {
            event.preventDefault();
            const trimmed = token.trim().replace(/^Bearer\s+/i, '');
            const found = problemOf(trimmed, messages);
            setProblem(found);
            if (found === null) onToken(trimmed);
          }}
        >
          <label className={styles['label']} htmlFor={field}>
            {signIn.token}
          </label>
          <Input.TextArea
            id={field}
            className={styles['token'] ?? ''}
            autoFocus
            rows={4}
            spellCheck={false}
            autoComplete="off"
            placeholder={signIn.placeholder}
            value={token}
            aria-invalid={problem !== null}
            aria-describedby={note}
            {...(problem !== null && { status: 'error' as const })}
            onChange={(event) => {
              setToken(event.target.value);
              setProblem(null);
            }}
            onPressEnter={(event) => {
              event.preventDefault();
              event.currentTarget.form?.requestSubmit();
            }}
          />
          <p id={note} className={styles['problem']} role="alert">
            {problem}
          </p>
          <Button type="primary" htmlType="submit" size="large" block>
            {signIn.submit}
          </Button>
        </form>
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

function problemOf(token: string, { signIn: { errors } }: Messages): string | null {
  if (token === '') return errors.empty;
  const claims = claimsOf(token);
  if (!claims) return errors.malformed;
  if (claims.expiresAt <= Date.now()) return errors.expired;
  return claims.isAdmin ? null : errors.notAdmin;
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
