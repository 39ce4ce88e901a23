//===- Spawn.cpp - the one place that starts other programs -------------------------------------------------------------===//
#include "runtime/host/Spawn.h"
#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <spawn.h>
#include <system_error>
#include <unistd.h>

extern char **environ;

namespace heddle {
namespace {

std::string_view nameOf(std::string_view variable) { return variable.substr(0, variable.find('=')); }

std::vector<std::string> environment(const SpawnOptions &options) {
  std::vector<std::string> all;
  auto has = [&](std::string_view name) {
    return std::ranges::any_of(all, [&](const std::string &variable) { return nameOf(variable) == name; });
  };
  for (auto &[name, value] : options.set)
    all.push_back(name + "=" + value);
  for (char **entry = environ; entry && *entry; ++entry) {
    std::string_view name = nameOf(*entry);
    bool unwanted = std::ranges::find(options.drop, name) != options.drop.end() ||
                    (options.dropLauncher && belongsToLauncher(name)) || (options.dropMpiSettings && setsMpi(name));
    if (!unwanted && !has(name))
      all.emplace_back(*entry);
  }
  return all;
}

std::vector<char *> pointers(const std::vector<std::string> &texts) {
  std::vector<char *> all;
  for (const std::string &text : texts)
    all.push_back(const_cast<char *>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

struct Files {
  posix_spawn_file_actions_t actions;
  Files() { posix_spawn_file_actions_init(&actions); }
  ~Files() { posix_spawn_file_actions_destroy(&actions); }
};
struct Attributes {
  posix_spawnattr_t attributes;
  Attributes() { posix_spawnattr_init(&attributes); }
  ~Attributes() { posix_spawnattr_destroy(&attributes); }
};

} // namespace

bool belongsToLauncher(std::string_view name) {
  constexpr std::array prefixes = {"OMPI_COMM_", "PMIX_", "PMI_",  "PMI2_",  "SLURM_", "SLURMD_",  "SRUN_",       "PBS_",
                                   "LSB_",       "SGE_",  "FLUX_", "HYDRA_", "HYDI_",  "MPIEXEC_", "I_MPI_HYDRA_"};
  // What mpirun sets for its ranks is partly named like settings of users, so these are listed one by one.
  constexpr std::array names = {"OMPI_APP_CTX_NUM_PROCS",
                                "OMPI_ARGV",
                                "OMPI_COMMAND",
                                "OMPI_FILE_LOCATION",
                                "OMPI_FIRST_RANKS",
                                "OMPI_NUM_APP_CTX",
                                "OMPI_UNIVERSE_SIZE",
                                "OMPI_MCA_ess",
                                "OMPI_MCA_ess_base_jobid",
                                "OMPI_MCA_ess_base_vpid",
                                "OMPI_MCA_initial_wdir",
                                "OMPI_MCA_mpi_oversubscribe",
                                "OMPI_MCA_orte_app_num",
                                "OMPI_MCA_orte_bound_at_launch",
                                "OMPI_MCA_orte_ess_jobid",
                                "OMPI_MCA_orte_ess_node_rank",
                                "OMPI_MCA_orte_ess_num_procs",
                                "OMPI_MCA_orte_ess_vpid",
                                "OMPI_MCA_orte_hnp_uri",
                                "OMPI_MCA_orte_jobfam_session_dir",
                                "OMPI_MCA_orte_launch",
                                "OMPI_MCA_orte_local_daemon_uri",
                                "OMPI_MCA_orte_node_regex",
                                "OMPI_MCA_orte_num_nodes",
                                "OMPI_MCA_orte_parent_uri",
                                "OMPI_MCA_orte_precondition_transports",
                                "OMPI_MCA_orte_tmpdir_base",
                                "OMPI_MCA_orte_top_session_dir",
                                "OMPI_MCA_pmix",
                                "OMPI_MCA_rmaps_base_oversubscribe",
                                "OMPI_MCA_shmem_RUNTIME_QUERY_hint",
                                "MPI_LOCALNRANKS",
                                "MPI_LOCALRANKID",
                                "PE_HOSTFILE"};
  return std::ranges::find(names, name) != names.end() ||
         std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

bool setsMpi(std::string_view name) {
  constexpr std::array prefixes = {"OMPI_", "PMIX_", "PRTE_", "ORTE_", "HWLOC_", "UCX_", "FI_", "EVENT_"};
  return std::ranges::any_of(prefixes, [&](std::string_view prefix) { return name.starts_with(prefix); });
}

pid_t spawn(const std::vector<std::string> &argv, const SpawnOptions &options) {
  Files files;
  if (options.input >= 0)
    posix_spawn_file_actions_adddup2(&files.actions, options.input, STDIN_FILENO);
  else
    posix_spawn_file_actions_addopen(&files.actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  if (options.output >= 0) {
    posix_spawn_file_actions_adddup2(&files.actions, options.output, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&files.actions, options.output, STDERR_FILENO);
  }
  posix_spawn_file_actions_addclosefrom_np(&files.actions, STDERR_FILENO + 1);
  if (char here[1]; !getcwd(here, sizeof here) && errno != ERANGE) // deleted
    posix_spawn_file_actions_addchdir_np(&files.actions, "/");

  Attributes attributes;
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes.attributes, &none);
  posix_spawnattr_setsigdefault(&attributes.attributes, &all);
  posix_spawnattr_setflags(&attributes.attributes, static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                                      (options.ownGroup ? POSIX_SPAWN_SETPGROUP : 0)));

  std::vector<std::string> variables = environment(options);
  pid_t child = 0;
  int error = posix_spawnp(&child, argv[0].c_str(), &files.actions, &attributes.attributes, pointers(argv).data(),
                           pointers(variables).data());
  if (error)
    throw std::system_error(error, std::generic_category(), argv[0]);
  return child;
}

} // namespace heddle
