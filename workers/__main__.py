"""``python -m workers QUEUE…`` works on these task queues until SIGTERM or Ctrl-C."""

from orders.leaving import leave, leave_when_told

if __name__ == "__main__":
    leave_when_told()
    # It takes a second to load.
    from workers.process import main

    leave(main())
