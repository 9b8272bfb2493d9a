import { createRoot } from 'react-dom/client';

import { App } from './App';
import { Ticker } from './Ticker';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element #root');
createRoot(root).render(
  <>
    <App />
    <Ticker />
  </>,
);
