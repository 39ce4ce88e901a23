# Configuration of every folder here; tests/lit/CMakeLists.txt gives the parameters.
import os
import lit.formats

config.name = "heddle"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.excludes = ["Inputs"]
config.test_source_root = os.path.dirname(__file__)
config.test_exec_root = lit_config.params["out"]
config.environment["PATH"] = os.pathsep.join([lit_config.params["bin"], lit_config.params["llvm"], os.environ["PATH"]])
config.environment["FILECHECK_OPTS"] = "-enable-var-scope"  # a variable without $ is local to its CHECK-LABEL
