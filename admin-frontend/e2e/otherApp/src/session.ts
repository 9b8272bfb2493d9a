/** What an app brings: its own way to tokens. */
export function currentToken(): string | null {
  return localStorage.getItem('token');
}

export function renewToken(): Promise<string | null> {
  return Promise.resolve(null);
}
