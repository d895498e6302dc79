"""A private IMAP server for tests: Debian's dovecot on a free port, with a folder and users of its own."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MISSING = "no dovecot is installed (dovecot-imapd)"
PASSWORD = "imap-secret"


def dovecot() -> str | None:
    """Return the path of an installed dovecot with IMAP, if there is one."""
    found = shutil.which("dovecot") or shutil.which("dovecot", path="/usr/sbin:/usr/local/sbin")
    return found if found and Path("/usr/lib/dovecot/imap").exists() else None


@dataclass
class ImapServer:
    """A running server. Every user name signs in with PASSWORD and has a mailbox of its own."""

    folder: Path
    port: int
    owner: pwd.struct_passwd

    def deliver(self, user: str, raw: bytes, name: str = "") -> None:
        """Put a mail into a user's inbox, as a mail server would."""
        box = self.folder / "mail" / user
        for part in ("tmp", "new", "cur"):
            (box / part).mkdir(parents=True, exist_ok=True)
        unique = name or f"{time.time_ns()}.{len(list((box / 'new').iterdir()))}.test"
        (box / "tmp" / unique).write_bytes(raw.replace(b"\r\n", b"\n"))
        for path in (box, *box.iterdir(), box / "tmp" / unique):
            os.chown(path, self.owner.pw_uid, self.owner.pw_gid)
        os.replace(box / "tmp" / unique, box / "new" / unique)

    def renumber(self, user: str) -> None:
        """Let the server number the user's mails anew (its index is gone, UIDVALIDITY changes)."""
        box = self.folder / "mail" / user
        # The new numbering is named by the second it begins in: it must be another one than the old one's.
        began = int(max(one.stat().st_mtime for one in box.glob("dovecot*")))
        while int(time.time()) <= began:
            time.sleep(0.05)
        for one in box.glob("dovecot*"):
            one.unlink()
        (box / "dovecot-uidvalidity").unlink(missing_ok=True)

    def files(self, user: str) -> list[str]:
        box = self.folder / "mail" / user
        return sorted(one.name for part in ("new", "cur") for one in (box / part).iterdir())


def free_port() -> int:
    """Return a port of this machine that nobody uses just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path) -> Iterator[ImapServer]:
    """Run a server below ``folder`` for the length of the block."""
    program = dovecot()
    assert program is not None, MISSING
    port = free_port()
    root = os.getuid() == 0
    if root:  # its parts run as others, who must get there
        for path in (folder, *folder.parents[:3]):
            if path.stat().st_uid == 0 and path.is_relative_to(tempfile.gettempdir()):
                path.chmod(path.stat().st_mode | 0o011)
    owner = pwd.getpwnam("dovecot") if root else pwd.getpwuid(os.getuid())
    for name in ("run", "mail", "state"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    os.chown(folder / "mail", owner.pw_uid, owner.pw_gid)
    config = folder / "dovecot.conf"
    config.write_text(
        f"""
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = imap
ssl = no
disable_plaintext_auth = no
{"" if root else _as_myself()}
first_valid_uid = 0
last_valid_uid = 0
first_valid_gid = 0
mail_location = maildir:{folder}/mail/%u
auth_mechanisms = plain login
passdb {{
  driver = static
  args = password={PASSWORD}
}}
userdb {{
  driver = static
  args = uid={owner.pw_uid} gid={owner.pw_gid} home={folder}/mail/%u
}}
service imap-login {{
  {"" if root else "chroot ="}
  inet_listener imap {{
    address = 127.0.0.1
    port = {port}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service anvil {{
  {"" if root else "chroot ="}
}}
service stats {{
  {"" if root else "chroot ="}
}}
"""
    )
    process = subprocess.Popen([program, "-F", "-c", str(config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        _wait(port, process, folder)
        yield ImapServer(folder, port, owner)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def _as_myself() -> str:
    """Whoever is not root runs every part of it as themselves; as root it takes the users Debian made for it."""
    user = pwd.getpwuid(os.getuid()).pw_name
    group = grp.getgrgid(os.getgid()).gr_name
    return f"default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}"


def _wait(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 15
    while time.monotonic() < until:
        if process.poll() is not None:
            said = process.stdout.read().decode() if process.stdout else ""
            raise RuntimeError(f"dovecot ended: {said}{_log(folder)}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as line:
            if line.recv(100).startswith(b"* OK"):
                return
        time.sleep(0.05)
    raise RuntimeError(f"dovecot does not answer: {_log(folder)}")


def _log(folder: Path) -> str:
    path = folder / "log"
    return path.read_text() if path.exists() else ""
