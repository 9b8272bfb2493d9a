import '../../test/media';

import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { expect, test, vi } from 'vitest';

import { LANGUAGES, LocaleProvider } from '../../i18n';
import { jwt } from '../../test/jwt';
import { SignIn } from '.';

const HOUR = 3600;
const now = (): number => Math.floor(Date.now() / 1000);

function open() {
  const onToken = vi.fn();
  const setLocale = vi.fn();
  const preferences = { locale: 'en', theme: 'system', setLocale, setTheme: vi.fn() } as const;
  render(
    <LocaleProvider locale="en">
      <SignIn preferences={preferences} onToken={onToken} />
    </LocaleProvider>,
  );
  return { onToken, setLocale };
}

async function enter(token: string): Promise<void> {
  const field = screen.getByLabelText('Administrator’s token');
  await userEvent.click(field);
  if (token) await userEvent.paste(token);
  await userEvent.keyboard('{Enter}');
}

test('an administrator’s token lets one in, whatever was pasted along with it', async () => {
  const { onToken } = open();
  const token = jwt({ exp: now() + HOUR, is_admin: true });
  await enter(`  Bearer ${token}\n`);
  expect(onToken).toHaveBeenCalledExactlyOnceWith(token);
});

test.each([
  ['', 'Paste a token'],
  ['something else', 'This is not a JWT'],
  [jwt({ exp: now() - 1, is_admin: true }), 'The token has expired'],
  [jwt({ exp: now() + HOUR }), 'not an administrator’s token'],
  [jwt({ exp: now() + HOUR, is_admin: 'true' }), 'not an administrator’s token'],
])('what the server would refuse is said at once', async (token, problem) => {
  const { onToken } = open();
  await enter(token);
  expect(screen.getByRole('alert')).toHaveTextContent(problem);
  expect(onToken).not.toHaveBeenCalled();
});

test('it says where a token comes from', () => {
  open();
  expect(screen.getByText(/videosite-realtime token admin 1 --scope publish/)).toBeInTheDocument();
});

test('the language is chosen before anybody has signed in', async () => {
  const { setLocale } = open();
  await userEvent.click(screen.getByRole('button', { name: LANGUAGES['zh-CN'].name }));
  expect(setLocale).toHaveBeenCalledWith('zh-CN');
});
