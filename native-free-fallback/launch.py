#!/usr/bin/env python3
"""Opens a TAP (or with --tun a TUN) device and becomes the program that follows, which finds the descriptor's number in TAP_FD:
python3 launch.py tap0 node program.js
"""
import fcntl
import os
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000

arguments = sys.argv[1:]
mode = IFF_TAP
if arguments and arguments[0] == "--tun":
    mode = IFF_TUN
    del arguments[0]
if len(arguments) < 2:
    sys.exit("usage: launch.py [--tun] NAME PROGRAM [ARGUMENT ...]")
name, command = arguments[0], arguments[1:]
try:
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), mode | IFF_NO_PI))
except OSError as error:
    sys.exit(f"{name}: {error.strerror}")
os.set_inheritable(descriptor, True)
os.environ["TAP_FD"] = str(descriptor)
command = [word.replace("$TAP_FD", str(descriptor)) for word in command]
os.execvp(command[0], command)
