"""Call functions of a client's program: ``runner.py PROGRAM``.

Standard input has a JSON list of a function's name and its arguments on each line, standard output an answer on each.
"""

import json
import runpy
import sys
import traceback


def main(path):
    program, output = runpy.run_path(path), sys.stdout
    sys.stdout = sys.stderr  # some clients print advertisements
    for line in sys.stdin:
        function, *arguments = json.loads(line)
        answer = call(program[function], arguments)
        print(json.dumps(answer, default=lambda array: array.tolist()), file=output, flush=True)


def call(function, arguments):
    try:
        return {"returned": function(*arguments)}
    except Exception:  # noqa: BLE001 - the next call may go well
        return {"raised": traceback.format_exc()}


if __name__ == "__main__":
    main(sys.argv[1])
