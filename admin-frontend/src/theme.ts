import { theme as antd, type ThemeConfig } from 'antd';
import { type CSSProperties, useMemo } from 'react';

export type ThemeMode = 'light' | 'dark';

/** The two palettes. Text and signal colours reach 4.5:1 on `panel` and on `page` (WCAG AA); `theme.test.ts` holds it. */
export const PALETTES = {
  light: {
    page: '#f7f8fa',
    panel: '#ffffff',
    raised: '#ffffff',
    border: '#e4e7ec',
    borderStrong: '#cfd5de',
    text: '#14171d',
    secondary: '#545d6b',
    accent: '#1f5fd6',
    success: '#15793a',
    warning: '#96590a',
    error: '#c8281f',
    pressed: '#333a46',
    warningGround: '#fdf6ea',
    warningEdge: '#ebd7b0',
    errorGround: '#fdf1f0',
    errorEdge: '#f2c8c5',
  },
  dark: {
    page: '#0b0d11',
    panel: '#12151b',
    raised: '#1a1e26',
    border: '#242a34',
    borderStrong: '#38414f',
    text: '#eef1f5',
    secondary: '#9ba6b5',
    accent: '#7db0ff',
    success: '#4fd08a',
    warning: '#f0b34b',
    error: '#ff8078',
    pressed: '#cfd5de',
    warningGround: '#221c12',
    warningEdge: '#4d3d1f',
    errorGround: '#251617',
    errorEdge: '#55292a',
  },
} as const satisfies Record<ThemeMode, Record<string, `#${string}`>>;

const FONT =
  "'Inter Variable', Inter, system-ui, -apple-system, 'Segoe UI', 'PingFang SC', 'Hiragino Sans GB', " +
  "'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif";
const MONO = "ui-monospace, 'SF Mono', SFMono-Regular, Menlo, Consolas, 'Liberation Mono', monospace";

/** Ant Design in the page's colours. Primary buttons are ink on paper, so that colour is left to mean something. */
export function themeFor(mode: ThemeMode, motion: boolean): ThemeConfig {
  const palette = PALETTES[mode];
  return {
    algorithm: mode === 'dark' ? antd.darkAlgorithm : antd.defaultAlgorithm,
    token: {
      motion,
      fontFamily: FONT,
      fontFamilyCode: MONO,
      fontSize: 14,
      borderRadius: 8,
      borderRadiusSM: 6,
      controlHeight: 34,
      colorPrimary: palette.accent,
      colorInfo: palette.accent,
      colorSuccess: palette.success,
      colorWarning: palette.warning,
      colorError: palette.error,
      colorLink: palette.accent,
      colorText: palette.text,
      colorTextSecondary: palette.secondary,
      colorTextTertiary: palette.secondary,
      colorTextDescription: palette.secondary,
      colorTextPlaceholder: palette.secondary,
      colorBgLayout: palette.page,
      colorBgContainer: palette.panel,
      colorBgElevated: palette.raised,
      colorBorder: palette.borderStrong,
      colorBorderSecondary: palette.border,
    },
    components: {
      Button: {
        colorPrimary: palette.text,
        colorPrimaryHover: palette.pressed,
        colorPrimaryActive: palette.pressed,
        primaryColor: palette.panel,
        primaryShadow: 'none',
        defaultShadow: 'none',
        dangerShadow: 'none',
        fontWeight: 500,
      },
      Badge: { colorTextLightSolid: palette.panel }, // white is too light on the dark palette's red
      Segmented: { trackPadding: 3, itemSelectedColor: palette.text, itemColor: palette.secondary },
      Alert: {
        colorWarningBg: palette.warningGround,
        colorWarningBorder: palette.warningEdge,
        colorErrorBg: palette.errorGround,
        colorErrorBorder: palette.errorEdge,
      },
      Dropdown: {
        colorPrimary: palette.text,
        controlItemBgActive: palette.border,
        controlItemBgActiveHover: palette.border,
      },
      Notification: { width: 360 },
    },
  };
}

/** What our own styles are written in: variables filled from whichever Ant Design theme surrounds a component. */
export function useThemeVariables(): CSSProperties {
  const { token } = antd.useToken();
  return useMemo(
    () =>
      ({
        '--rt-font': token.fontFamily,
        '--rt-mono': token.fontFamilyCode,
        '--rt-page': token.colorBgLayout,
        '--rt-panel': token.colorBgContainer,
        '--rt-raised': token.colorBgElevated,
        '--rt-border': token.colorBorderSecondary,
        '--rt-border-strong': token.colorBorder,
        '--rt-text': token.colorText,
        '--rt-secondary': token.colorTextSecondary,
        '--rt-accent': token.colorPrimary,
        '--rt-success': token.colorSuccess,
        '--rt-warning': token.colorWarning,
        '--rt-error': token.colorError,
        '--rt-radius': `${token.borderRadius}px`,
        '--rt-fill': `color-mix(in srgb, ${token.colorText} 7%, transparent)`,
        '--rt-hover': `color-mix(in srgb, ${token.colorText} 4%, transparent)`,
      }) as CSSProperties,
    [token],
  );
}
