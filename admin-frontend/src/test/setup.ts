import '@testing-library/jest-dom/vitest';
import { cleanup, configure } from '@testing-library/react';
import { afterEach } from 'vitest';

// On a busy machine a second is short; what never comes is still an error.
configure({ asyncUtilTimeout: 15_000 });

afterEach(cleanup);
