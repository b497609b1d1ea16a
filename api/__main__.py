"""``python -m api`` serves the API until SIGTERM or Ctrl-C."""

from orders.leaving import leave, leave_when_told

if __name__ == "__main__":
    leave_when_told()
    # It takes a second to load.
    from api.process import main

    leave(main())
