import { Modal } from 'antd';
import { useRef } from 'react';

import { useMessages } from '../../i18n';
import { TokenForm } from '../SignIn/TokenForm';
import styles from './AdminPage.module.css';
import type { NewToken } from './useNewToken';

/** Asks for another token over the page, which keeps what it shows and goes on from there. */
export function TokenDialog({ token }: { token: NewToken }) {
  const { newToken, page } = useMessages();
  const content = useRef<HTMLDivElement>(null);
  const { isAsked, isNeeded, isTried, isRefused, give, putOff } = token;
  return (
    <Modal
      open={isAsked}
      onCancel={putOff}
      title={isNeeded ? newToken.titleNeeded : newToken.title}
      closable={{ 'aria-label': page.close }}
      footer={null}
      width={440}
      destroyOnHidden
      // By default the dialog would focus its close button.
      afterOpenChange={(isOpen) => {
        if (isOpen) content.current?.querySelector('textarea')?.focus();
      }}
    >
      <div ref={content}>
        <p className={styles['intro']}>{isNeeded ? newToken.introNeeded : newToken.intro}</p>
        <TokenForm
          submit={newToken.submit}
          onToken={give}
          loading={isTried}
          refusal={isRefused ? newToken.refused : null}
        />
      </div>
    </Modal>
  );
}
