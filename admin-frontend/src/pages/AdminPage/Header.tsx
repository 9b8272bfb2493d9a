import { SendOutlined } from '@ant-design/icons';
import { Button, Tooltip } from 'antd';

import type { Claims } from '../../app/token';
import type { Preferences } from '../../app/preferences';
import { ConnectionStatus } from '../../components/ConnectionStatus';
import { Logo } from '../../components/Logo';
import NotificationBadge from '../../components/NotificationBadge';
import { useConnection } from '../../hooks/useConnection';
import { useMessages } from '../../i18n';
import { AccountMenu } from './AccountMenu';
import styles from './Header.module.css';
import { lacksToken } from './useNewToken';

interface Props {
  claims: Claims | null;
  preferences: Preferences;
  onCompose: () => void;
  onViewAll: () => void;
  onChangeToken: () => void;
  onSignOut: () => void;
}

/** Who and where one is, how the connection stands, and what can be done from everywhere. */
export function Header({ claims, preferences, onCompose, onViewAll, onChangeToken, onSignOut }: Props) {
  const { page } = useMessages();
  const { snapshot } = useConnection();
  const maySend = claims?.scopes.has('publish') ?? false;
  return (
    <header className={styles['header']}>
      <div className={styles['inner']}>
        <div className={styles['brand']}>
          <Logo />
          <span className={styles['name']}>VideoSite</span>
          <span className={styles['divider']} aria-hidden>
            /
          </span>
          <h1 className={styles['title']}>{page.title}</h1>
        </div>
        <ConnectionStatus mayRetry={!lacksToken(snapshot)} />
        <div className={styles['actions']}>
          <Tooltip title={maySend ? '' : page.composeNeedsScope}>
            {/* Not `disabled`: whoever may not send shall be able to reach it and learn why. */}
            <Button
              type="primary"
              icon={<SendOutlined aria-hidden />}
              aria-disabled={!maySend}
              aria-label={maySend ? page.compose : `${page.compose} (${page.composeNeedsScope})`}
              className={styles['compose'] ?? ''}
              onClick={() => {
                if (maySend) onCompose();
              }}
            >
              <span className={styles['composeText']}>{page.compose}</span>
            </Button>
          </Tooltip>
          <NotificationBadge onViewAll={onViewAll} />
          <AccountMenu claims={claims} preferences={preferences} onChangeToken={onChangeToken} onSignOut={onSignOut} />
        </div>
      </div>
    </header>
  );
}
