import { CheckCircleFilled } from '@ant-design/icons';
import { Button, Typography } from 'antd';

import type { Receipt } from '../../../api/systemMessages';
import { useMessages } from '../../../i18n';
import styles from './Composer.module.css';

interface Props {
  receipt: Receipt;
  onAnother: () => void;
  onClose: () => void;
}

/** What became of a message, with what an SRE needs to follow it. */
export function Sent({ receipt, onAnother, onClose }: Props) {
  const { composer, page } = useMessages();
  return (
    <div className={styles['sent']} role="status">
      <CheckCircleFilled className={styles['done'] ?? ''} aria-hidden />
      <h3>{composer.sent}</h3>
      <p>{receipt.online ? composer.sentOnline(receipt.nodes) : composer.sentOffline}</p>
      <dl>
        <dt>{composer.messageId}</dt>
        <dd>
          <Typography.Text code copyable>
            {receipt.id}
          </Typography.Text>
        </dd>
        <dt>{composer.traceId}</dt>
        <dd>
          <Typography.Text code copyable>
            {receipt.trace_id}
          </Typography.Text>
        </dd>
      </dl>
      <div className={styles['next']}>
        <Button type="primary" autoFocus onClick={onAnother}>
          {composer.another}
        </Button>
        <Button onClick={onClose}>{page.close}</Button>
      </div>
    </div>
  );
}
