/** Return a token as a node would accept it, but for the signature. */
export function jwt(claims: object = {}): string {
  return ['{"alg":"none"}', JSON.stringify({ sub: '1', ...claims }), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
}
