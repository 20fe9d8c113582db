"""What a process may no longer do, once `enter` has returned: nothing but compute, and write what it found.

For the grader's sandbox, which runs code that a model wrote. The engine is the first wall. Behind it, for native code
that got out of the engine: the kernel's limits everywhere; on Linux (x86-64 and ARM) a seccomp filter that lets a
handful of system calls through, so that there is no other process, file, socket or clock to wait by; a user of its own
where we are root. It imports the standard library alone, and nothing may be loaded afterwards: no file can be opened.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterator

#: nobody's: not even of the user `nobody`, as whom other services run
UID = 65_533

#: what is let through, by number: (write what was found, see and end oneself, have memory, tell the time of one's own
#: CPU); a read is not among it, for the job is read by then
_ALLOWED = {
    "x86_64": {
        "write": 1,
        "close": 3,
        "fstat": 5,
        "lseek": 8,
        "munmap": 11,
        "brk": 12,
        "rt_sigprocmask": 14,
        "rt_sigreturn": 15,
        "sched_yield": 24,
        "mremap": 25,
        "madvise": 28,
        "exit": 60,
        "gettimeofday": 96,
        "getrusage": 98,
        "futex": 202,
        "restart_syscall": 219,
        "clock_gettime": 228,
        "exit_group": 231,
        "getrandom": 318,
    },
    "aarch64": {
        "close": 57,
        "lseek": 62,
        "write": 64,
        "fstat": 80,
        "exit": 93,
        "exit_group": 94,
        "futex": 98,
        "clock_gettime": 113,
        "sched_yield": 124,
        "restart_syscall": 128,
        "rt_sigprocmask": 135,
        "rt_sigreturn": 139,
        "getrusage": 165,
        "gettimeofday": 169,
        "brk": 214,
        "munmap": 215,
        "mremap": 216,
        "madvise": 233,
        "getrandom": 278,
    },
}
#: mmap and mprotect: let through unless the memory is to be executed
_MAPPING = {"x86_64": (9, 10), "aarch64": (222, 226)}
#: of linux/audit.h
_ARCHITECTURE = {"x86_64": 0xC000_003E, "aarch64": 0xC000_00B7}

#: of the call that sets the filter, and of its arguments: for every thread there is
_SECCOMP = {"x86_64": 317, "aarch64": 277}
_SET_FILTER, _ALL_THREADS = 1, 1
_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 4, 38
_ALLOW, _REFUSE, _KILL = 0x7FFF_0000, 0x0005_0000 | errno.EPERM, 0x8000_0000
#: instructions of linux/filter.h: load a word, jump if equal, jump if a bit is set, return
_LOAD, _EQUAL, _SET, _RETURN = 0x20, 0x15, 0x45, 0x06
#: offsets in struct seccomp_data, of the lower word of the third argument in the last
_NUMBER, _ARCH, _PROTECTION = 0, 4, 32
_PROT_EXEC = 4


def enter(*, cpu_s: int, address_space: int, output: int) -> list[str]:
    """Give everything up, for good; what holds from now on, in words. All sizes in bytes."""
    _limit(cpu_s, address_space, output)
    holds = ["limits"]
    if os.geteuid() == 0 and _leave_root():
        holds.append("own user")
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))  # would not count for root
    if sys.platform == "linux" and _filter_system_calls():
        holds.append("seccomp")
    return holds


def _limit(cpu_s: int, address_space: int, output: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (output, output))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS refuses; the heap limit of QuickJS stands there alone
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))


def _leave_root() -> bool:
    """False in a container whose root knows no such user."""
    try:
        os.setgroups([])
        os.setgid(UID)
        os.setuid(UID)
    except OSError:
        return False
    return True


def _filter_system_calls() -> bool:
    """False where the kernel has no seccomp, or the processor is one whose numbers we do not know."""
    machine = platform.machine()
    if machine not in _ALLOWED or sys.maxsize < 1 << 32:
        return False
    libc = ctypes.CDLL(None)
    libc.prctl.argtypes, libc.syscall.argtypes = [ctypes.c_ulong] * 5, [ctypes.c_ulong] * 4
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    program = b"".join(_program(machine))
    instructions = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: how many, and where
    fprog = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions)))
    return bool(libc.syscall(_SECCOMP[machine], _SET_FILTER, _ALL_THREADS, ctypes.addressof(fprog)) == 0)


def _program(machine: str) -> Iterator[bytes]:
    """Refused, not killed: a C library that asks for something new must not fail an answer."""
    yield _instruction(_LOAD, _ARCH)
    yield _instruction(_EQUAL, _ARCHITECTURE[machine], if_true=1)
    yield _instruction(_RETURN, _KILL)  # the same numbers mean other calls in another architecture's mode
    yield _instruction(_LOAD, _NUMBER)
    for number in _ALLOWED[machine].values():
        yield _instruction(_EQUAL, number, if_false=1)
        yield _instruction(_RETURN, _ALLOW)
    for number in _MAPPING[machine]:
        yield _instruction(_EQUAL, number, if_false=4)
        yield _instruction(_LOAD, _PROTECTION)
        yield _instruction(_SET, _PROT_EXEC, if_false=1)
        yield _instruction(_RETURN, _REFUSE)
        yield _instruction(_RETURN, _ALLOW)
    yield _instruction(_RETURN, _REFUSE)


def _instruction(code: int, value: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
