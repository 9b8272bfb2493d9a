import react from '@vitejs/plugin-react';

export default { plugins: [react()], base: './', logLevel: 'warn', build: { chunkSizeWarningLimit: 2000 } };
