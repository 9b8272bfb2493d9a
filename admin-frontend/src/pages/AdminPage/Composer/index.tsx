import { Alert, Button, Drawer, Input, Segmented, Select } from 'antd';
import { useId, useState } from 'react';

import { type Level, LEVELS, MESSAGE_MAX_BYTES, type Refusal, USERS_MAX } from '../../../api/systemMessages';
import { useHush } from '../../../hooks/useHush';
import { useFormat, useMessages } from '../../../i18n';
import type { ConnectionStats } from '../../../realtime';
import { useThemeVariables } from '../../../theme';
import styles from './Composer.module.css';
import { bytesOf, type Draft, EMPTY, problemsOf, type TargetKind, toSend } from './draft';
import { FieldBox, noteOf } from './FieldBox';
import { Preview } from './Preview';
import { Sent } from './Sent';
import type { Sender } from './useSending';

const TARGETS = ['admin', 'all', 'users'] as const;
const ALMOST_FULL = 0.8;

interface Props {
  open: boolean;
  onClose: () => void;
  sender: Sender;
  stats: ConnectionStats | null;
}

/** Write a system message, see it as its readers will, and send it. What was written stays until it was sent. */
export default function Composer({ open, onClose, sender, stats }: Props) {
  const { composer, page } = useMessages();
  const variables = useThemeVariables();
  const [draft, setDraft] = useState<Draft>(EMPTY);
  const { sending, reset } = sender;
  useHush(open);
  const sent = sending.state === 'sent';
  return (
    <Drawer
      open={open}
      onClose={onClose}
      title={composer.title}
      size={480}
      closable={{ 'aria-label': page.close }}
      afterOpenChange={(now) => {
        if (!now && sent) reset();
      }}
      styles={{ body: { padding: 0 }, wrapper: { maxWidth: '100vw' } }}
    >
      <div className={styles['composer']} style={variables}>
        {sent ? (
          <Sent receipt={sending.receipt} onAnother={reset} onClose={onClose} />
        ) : (
          <Form
            draft={draft}
            onChange={setDraft}
            onSent={() => {
              setDraft(EMPTY);
            }}
            sender={sender}
            stats={stats}
          />
        )}
      </div>
    </Drawer>
  );
}

interface FormProps {
  draft: Draft;
  onChange: (draft: Draft) => void;
  onSent: () => void;
  sender: Sender;
  stats: ConnectionStats | null;
}

function Form({ draft, onChange, onSent, sender: { sending, send, reset }, stats }: FormProps) {
  const messages = useMessages();
  const { composer, notifications } = messages;
  const format = useFormat();
  const [tried, setTried] = useState(false);
  const ids = { message: useId(), users: useId() };
  const refusal = sending.state === 'refused' ? sending.refusal : null;
  const said = refusal?.kind === 'invalid' ? refusal.fields : {};
  const problems = { ...said, ...(tried ? problemsOf(draft, messages) : {}) };
  const bytes = bytesOf(draft.message);

  const change = (part: Partial<Draft>): void => {
    onChange({ ...draft, ...part });
    if (refusal) reset();
  };
  const submit = async (): Promise<void> => {
    setTried(true);
    if (Object.keys(problemsOf(draft, messages)).length > 0) return;
    if (await send(toSend(draft))) onSent();
  };

  return (
    <form
      className={styles['form']}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        void submit();
      }}
    >
      <div className={styles['fields']}>
        <p className={styles['intro']}>{composer.intro}</p>
        <FieldBox label={composer.target} hint={targetHint(draft.targetKind, stats, composer)} group>
          <Segmented<TargetKind>
            block
            aria-label={composer.target}
            value={draft.targetKind}
            onChange={(targetKind) => {
              change({ targetKind });
            }}
            options={TARGETS.map((target) => ({ value: target, label: composer.targets[target] }))}
          />
        </FieldBox>
        {draft.targetKind === 'users' ? (
          <FieldBox label={composer.users} htmlFor={ids.users} error={problems.target}>
            <Select
              id={ids.users}
              mode="tags"
              open={false}
              suffix={<span />}
              tokenSeparators={[' ', ',', '，', ';', '\n']}
              maxCount={USERS_MAX}
              placeholder={composer.usersPlaceholder}
              aria-describedby={noteOf(ids.users)}
              {...(problems.target !== undefined && { status: 'error' as const })}
              value={[...draft.users]}
              onChange={(users: string[]) => {
                change({ users });
              }}
            />
          </FieldBox>
        ) : null}
        <FieldBox label={composer.level} error={problems.level} group>
          <Segmented<Level>
            block
            aria-label={composer.level}
            value={draft.level}
            onChange={(level) => {
              change({ level });
            }}
            options={LEVELS.map((level) => ({
              value: level,
              label: (
                <span className={styles['level']} data-level={level}>
                  {notifications.levels[level]}
                </span>
              ),
            }))}
          />
        </FieldBox>
        <FieldBox
          label={composer.message}
          htmlFor={ids.message}
          error={problems.message}
          hint={
            bytes > MESSAGE_MAX_BYTES * ALMOST_FULL
              ? composer.size(format.bytes(bytes), format.bytes(MESSAGE_MAX_BYTES))
              : undefined
          }
        >
          <Input.TextArea
            id={ids.message}
            autoSize={{ minRows: 4, maxRows: 12 }}
            placeholder={composer.messagePlaceholder}
            value={draft.message}
            aria-invalid={problems.message !== undefined}
            aria-describedby={noteOf(ids.message)}
            {...(problems.message !== undefined && { status: 'error' as const })}
            onChange={(event) => {
              change({ message: event.target.value });
            }}
          />
        </FieldBox>
        <Preview message={draft.message} level={draft.level} />
        {refusal ? <Problem refusal={refusal} /> : null}
      </div>
      <div className={styles['foot']}>
        <Button type="primary" htmlType="submit" size="large" block loading={sending.state === 'sending'}>
          {refusal && refusal.kind !== 'invalid'
            ? composer.sendAgain
            : draft.targetKind === 'all'
              ? composer.sendToAll
              : composer.send}
        </Button>
      </div>
    </form>
  );
}

function targetHint(
  kind: TargetKind,
  stats: ConnectionStats | null,
  composer: ReturnType<typeof useMessages>['composer'],
) {
  if (kind === 'users') return composer.targetHints.users;
  const count = kind === 'admin' ? stats?.total_admin_connections : stats?.total_connections;
  return composer.targetHints[kind](count ?? null);
}

function Problem({ refusal }: { refusal: Refusal }) {
  const { errors } = useMessages().composer;
  const say = (): string => {
    switch (refusal.kind) {
      case 'invalid':
      case 'tooLarge':
        return refusal.kind === 'tooLarge' ? errors.tooLarge : errors.invalid;
      case 'unavailable':
        return refusal.retryAfter === null
          ? errors.unavailable
          : errors.unavailableFor(Math.ceil(refusal.retryAfter / 1000));
      case 'unexpected':
        return errors.unexpected(refusal.status);
      case 'unauthenticated':
      case 'forbidden':
      case 'conflict':
      case 'unreachable':
        return errors[refusal.kind];
    }
  };
  const detail = refusal.kind === 'invalid' ? refusal.text : '';
  return (
    <Alert
      role="alert"
      showIcon
      type={refusal.kind === 'unavailable' || refusal.kind === 'unreachable' ? 'warning' : 'error'}
      title={say()}
      {...(detail && { description: detail })}
    />
  );
}
