/** Transcodes for a page to show: a crowd of videos that move on, end and fail, sent to the router in batches. */

const TITLES = [
  '山海经·第一集',
  'Quarterly all-hands',
  '城市夜景延时摄影',
  'Kubernetes 入门',
  '雨中的西湖',
  'Product demo, spring release',
  '婚礼纪录 2026',
  'How we scaled WebSockets',
  '猫咪日常',
];
const STEPS = ['正在转码720p (1/3)', '已完成720p转码 (1/3)', '正在转码480p (2/3)', '正在转码360p (3/3)'];
const EVERY = 100; // ms between batches

/**
 * Begin to send; the returned function ends it.
 *
 * @param {{ routerUrl: string, token: string, videos?: number, perSecond?: number }} options
 * @returns {() => Promise<void>}
 */
export function startTraffic({ routerUrl, token, videos = 40, perSecond = 150 }) {
  let next = 1000 * (1 + (Math.floor(Date.now() / 1000) % 90_000));
  const begin = (percent = 0) => ({ id: next++, percent, pace: 0.4 + Math.random() * 1.6 });
  const running = Array.from({ length: videos }, () => begin(Math.random() * 95));
  let turn = 0;
  let isOver = false;

  const step = () => {
    const at = turn++ % running.length;
    const video = running[at];
    video.percent += video.pace;
    if (video.percent < 100) return progressOf(video);
    running[at] = begin();
    return endOf(video);
  };
  const run = async () => {
    while (!isOver) {
      const items = Array.from({ length: Math.max(1, Math.round((perSecond * EVERY) / 1000)) }, step);
      await post(`${routerUrl}/api/v1/notifications/batch`, token, { items });
      await new Promise((resolve) => setTimeout(resolve, EVERY));
    }
    // None is left behind unfinished: another page would show it for an hour.
    await post(`${routerUrl}/api/v1/notifications/batch`, token, { items: running.map(endOf) });
  };
  const ended = run();
  return async () => {
    isOver = true;
    await ended;
  };
}

function progressOf({ id, percent }) {
  const message = STEPS[Math.floor((percent / 100) * STEPS.length)];
  return { type: 'transcode_progress', video_id: id, status: 'processing', progress: Math.floor(percent), message };
}

function endOf({ id }) {
  const title = TITLES[id % TITLES.length];
  if (id % 6 === 0) {
    const error = 'FFmpeg process exited with code 1: moov atom not found';
    return { type: 'transcode_failed', video_id: id, title, error };
  }
  const file_size = 100_000_000 + (id % 97) * 19_000_000;
  return { type: 'transcode_complete', video_id: id, title, format_type: ['av1', 'h264', 'vp9'][id % 3], file_size };
}

export async function post(url, token, body) {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${url}: HTTP ${answer.status} ${await answer.text()}`);
}
