import { theme } from 'antd';
import { expect, test } from 'vitest';

import { themeFor, type ThemeMode } from './theme';

const AA = 4.5;
const MODES = ['light', 'dark'] as const satisfies ThemeMode[];

/** The contrast of two colours as WCAG 2 defines it. */
function contrast(a: string, b: string): number {
  const [darker = 0, lighter = 0] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (lighter + 0.05) / (darker + 0.05);
}

function luminance(hex: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
    return value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

// What Ant Design makes of the palette, not the palette itself: its dark algorithm dims the colours.
test.each(MODES)('in the %s theme, all that is written can be read', (mode) => {
  const token = theme.getDesignToken(themeFor(mode, true));
  const inks = {
    text: token.colorText,
    secondary: token.colorTextSecondary,
    placeholder: token.colorTextPlaceholder,
    accent: token.colorPrimary,
    success: token.colorSuccess,
    warning: token.colorWarning,
    error: token.colorError,
  };
  const grounds = { page: token.colorBgLayout, panel: token.colorBgContainer, raised: token.colorBgElevated };
  for (const [ink, colour] of Object.entries(inks)) {
    for (const [ground, behind] of Object.entries(grounds)) {
      expect(contrast(colour, behind), `${ink} on ${ground}`).toBeGreaterThanOrEqual(AA);
    }
  }
});

test('contrast is measured as WCAG does', () => {
  expect(contrast('#000000', '#ffffff')).toBeCloseTo(21);
  expect(contrast('#767676', '#ffffff')).toBeCloseTo(4.54, 2);
});
