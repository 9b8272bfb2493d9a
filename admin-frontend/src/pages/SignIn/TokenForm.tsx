import { Button, Input } from 'antd';
import { useId, useState } from 'react';

import { claimsOf } from '../../app/token';
import { type Messages, useMessages } from '../../i18n';
import styles from './TokenForm.module.css';

interface Props {
  submit: string;
  onToken: (token: string) => void;
  /** What the server says of the last one that was entered. */
  refusal?: string | null;
  loading?: boolean;
}

/** Takes an administrator's token. What the server would refuse anyway is said here at once. */
export function TokenForm({ submit, onToken, refusal = null, loading = false }: Props) {
  const messages = useMessages();
  const { signIn } = messages;
  const [token, setToken] = useState('');
  const [problem, setProblem] = useState<string | null>(null);
  const [field, note] = [useId(), useId()];
  const said = problem ?? refusal;
  return (
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
        aria-invalid={said !== null}
        aria-describedby={note}
        {...(said !== null && { status: 'error' as const })}
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
        {said}
      </p>
      <Button type="primary" htmlType="submit" size="large" block loading={loading}>
        {submit}
      </Button>
    </form>
  );
}

function problemOf(token: string, { signIn: { errors } }: Messages): string | null {
  if (token === '') return errors.empty;
  const claims = claimsOf(token);
  if (!claims) return errors.malformed;
  if (claims.expiresAt <= Date.now()) return errors.expired;
  return claims.isAdmin ? null : errors.notAdmin;
}
