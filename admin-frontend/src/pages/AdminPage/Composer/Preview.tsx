import { CheckCircleFilled, CloseCircleFilled, ExclamationCircleFilled, InfoCircleFilled } from '@ant-design/icons';

import type { Level } from '../../../api/systemMessages';
import { useMessages } from '../../../i18n';
import styles from './Composer.module.css';

const ICONS = {
  info: <InfoCircleFilled />,
  success: <CheckCircleFilled />,
  warning: <ExclamationCircleFilled />,
  error: <CloseCircleFilled />,
};

/** The toast that readers will see. */
export function Preview({ message, level }: { message: string; level: Level }) {
  const { composer, message: say } = useMessages();
  return (
    <div className={styles['field']}>
      <span className={styles['label']}>{composer.preview}</span>
      <div className={styles['stage']}>
        <div className={styles['toast']} data-level={level}>
          <span className={styles['icon']} aria-hidden>
            {ICONS[level]}
          </span>
          <div className={styles['content']}>
            <div className={styles['heading']}>{say.system}</div>
            <div className={styles['text']} data-empty={!message.trim() || undefined}>
              {message.trim() || composer.previewEmpty}
            </div>
          </div>
        </div>
      </div>
    </div>
  );
}
