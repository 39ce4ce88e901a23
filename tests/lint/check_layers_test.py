"""check_layers_test.py CHECK_LAYERS - the dependency check must refuse each kind of offence, by file and line, and accept the rest."""
import pathlib
import subprocess
import sys
import tempfile

CASES = [  # file, content, what the message must say ("" = accepted)
    ("ir/A.cpp", '#include <mlir/IR/Builders.h>\n#include "runtime/math/Functions.h"\n', ""),
    ("ir/A.cpp", '#include "compiler/Pipeline.h"\n', "ir/A.cpp:1: includes compiler/Pipeline.h"),
    ("ir/A.cpp", '\n#include "runtime/engine/Engine.h"\n', "ir/A.cpp:2: includes runtime/engine/Engine.h"),
    ("compiler/a/A.cpp", '#include "runtime/plan/Plan.h"\n#include "ir/dialect/Dialect.h"\n', ""),
    ("compiler/a/A.cpp", '#include "runtime/engine/Engine.h"\n', "compiler/a/A.cpp:1"),
    ("compiler/checkpoints/gguf/A.cpp", "#include <mlir/IR/Builders.h>\n", "compiler/checkpoints/gguf/A.cpp:1"),
    ("runtime/engine/A.cpp", "#include <llvm/Support/Error.h>\n", "runtime/engine/A.cpp:1"),
    ("runtime/engine/A.cpp", "#include <mpi.h>\n", "runtime/engine/A.cpp:1: includes mpi.h"),
    ("runtime/comm/A.cpp", "#include <mpi.h>\n", ""),
    ("runtime/comm/CMakeLists.txt", "find_package(MPI REQUIRED)\n", ""),
    ("services/grpc/A.cpp", '#include "compiler/Compile.h"\n', "services/grpc/A.cpp:1"),
    ("services/grpc/A.cpp", "  #  include <mpi.h>\n", "services/grpc/A.cpp:1"),
    ("services/grpc/CMakeLists.txt", "target_link_libraries(a PRIVATE MPI::MPI_CXX)\n", "services/grpc/CMakeLists.txt:1"),
    ("tools/heddle/A.cpp", '#include "compiler/Compile.h"\n#include "services/client/Ask.h"\n', ""),
    ("tests/mpi/A.cpp", "#include <mpi.h>\n", ""),
]

failures = 0
for file, content, expected in CASES:
    with tempfile.TemporaryDirectory() as root:
        path = pathlib.Path(root, file)
        path.parent.mkdir(parents=True)
        path.write_text(content)
        run = subprocess.run([sys.executable, sys.argv[1], root], capture_output=True, text=True)
        right = run.returncode == (1 if expected else 0) and expected in run.stderr
        if not right:
            failures += 1
            print(f"{file}: {content!r}: expected {expected or 'nothing'}, got status {run.returncode} and: {run.stderr}")
print(f"{len(CASES)} cases, {failures} failures")
sys.exit(1 if failures else 0)
