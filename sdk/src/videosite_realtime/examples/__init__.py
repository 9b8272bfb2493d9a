"""Producers to start from: a transcoder on the command line, and the same as Celery tasks.

progress   reads what FFmpeg says of its progress: no processes
ffmpeg     FFmpeg as a child process
transcode  a video in several formats, as a sequence of steps: no notifications
transcoder, celery_tasks   tell the steps to the browsers, each in its own way
"""
