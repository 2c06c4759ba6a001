"""Prints COUNT ports of the loopback device that are free now."""

import argparse
import socket


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    held = [socket.socket() for _ in range(parser.parse_args().count)]
    for one in held:
        one.bind(("127.0.0.1", 0))
    print(*(one.getsockname()[1] for one in held))


if __name__ == "__main__":
    main()
