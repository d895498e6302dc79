"""gunicorn settings for a production server behind a reverse proxy. See docs/deployment.md."""

import os

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WORKERS", "2"))
worker_class = "gthread"
threads = int(os.environ.get("THREADS", "8"))
# Stop taking new work at SIGTERM, finish what runs, then leave.
graceful_timeout = 30
timeout = 60
keepalive = 5
# Fresh workers now and then keep a slow leak from growing.
max_requests = 20000
max_requests_jitter = 2000
# Only the proxy on this machine may set X-Forwarded-*; the application checks how many proxies it trusts.
forwarded_allow_ips = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")
accesslog = "-"
errorlog = "-"
access_log_format = '%(h)s "%(r)s" %(s)s %(b)s %(M)sms'
