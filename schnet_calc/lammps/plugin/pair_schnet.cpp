// pair_style schnet: a LAMMPS plugin that asks schnet_calc for energies and forces.
//
// SPDX-License-Identifier: GPL-2.0-or-later
// This file is made to be linked with LAMMPS and is distributed under its licence, the GNU General Public License,
// version 2 or (at your option) any later version. See README.md beside it.

#include "atom.h"
#include "comm.h"
#include "domain.h"
#include "error.h"
#include "force.h"
#include "lammps.h"
#include "memory.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <dlfcn.h>
#include <mpi.h>
#include <string>

using namespace LAMMPS_NS;

namespace {

// ---- What Python reads and fills in every step; schnet_calc/lammps/pair.py has the same fields.

struct Step {
  std::int64_t n_own, n_all, n_types, ago, tag_bytes, wants_atoms, periodic;
  double skin;
  const double *positions;     // (n_all, 3)
  const int *types;            // (n_all,)
  const void *tags;            // (n_all,)
  double *forces;              // (n_all, 3), to be added to
  double *energies;            // (n_own,), to be added to, or null
  double *totals;              // energy and six of the virial, of this rank
};

typedef int (*StepFunction)(const Step *);

// ---- Python, of the process we are in or started here.

struct Interpreter {
  int (*is_there)();
  void (*start)(int);
  int (*lock)();
  void (*unlock)(int);
  int (*run)(const char *);
  void *(*let_go)();

  template <class F> static void find(void *library, F &function, const char *name) {
    function = reinterpret_cast<F>(dlsym(library, name));
  }

  // Null if all is well.
  const char *open() {
    void *library = RTLD_DEFAULT;
    if (!dlsym(library, "Py_IsInitialized")) {
      library = dlopen(SCHNET_LIBPYTHON, RTLD_NOW | RTLD_GLOBAL);
      if (!library)
        return "pair_style schnet: there is no " SCHNET_LIBPYTHON "; run LAMMPS from Python, or build the plugin anew";
    }
    find(library, is_there, "Py_IsInitialized");
    find(library, start, "Py_InitializeEx");
    find(library, lock, "PyGILState_Ensure");
    find(library, unlock, "PyGILState_Release");
    find(library, run, "PyRun_SimpleString");
    find(library, let_go, "PyEval_SaveThread");
    if (!is_there()) {
      start(0);
      run("import sys\nsys.path[:0] = [p for p in " SCHNET_PYTHON_PATH ".split('\\n') if p not in sys.path]\n");
      let_go();
    }
    return nullptr;
  }

  int execute(const std::string &text) {
    const int state = lock();
    const int failed = run(text.c_str());
    unlock(state);
    return failed;
  }
};

}    // namespace

// ---- The pair style.

class PairSchNet : public Pair {
 public:
  explicit PairSchNet(LAMMPS *lmp) : Pair(lmp) {
    single_enable = restartinfo = 0;
    one_coeff = manybody_flag = no_virial_fdotr_compute = 1;
    centroidstressflag = CENTROID_NOTAVAIL;
  }

  ~PairSchNet() override {
    if (step_of && interpreter.lock) interpreter.execute("import schnet_calc.lammps.pair as p; p.close_pair(" + handle() + ")");
    if (!allocated) return;
    memory->destroy(setflag);
    memory->destroy(cutsq);
  }

  void settings(int n, char **words) override {
    options.clear();
    for (int k = 0; k < n; k++) options += std::string(words[k]) + "\n";
  }

  // pair_coeff * * model.pt Si C
  void coeff(int n, char **words) override {
    if (std::strcmp(update->unit_style, "metal") != 0)
      error->all(FLERR, "pair_style schnet needs units metal (eV, Angstrom, ps), not {}", update->unit_style);
    if (n < 3 || std::strcmp(words[0], "*") != 0 || std::strcmp(words[1], "*") != 0)
      error->all(FLERR, "pair_coeff of schnet is '* * model element ...', an element for each atom type");
    if (n - 3 != atom->ntypes)
      error->all(FLERR, "pair_style schnet: there are {} atom types, but {} elements", atom->ntypes, n - 3);
    arguments = options + "--\n";
    for (int k = 2; k < n; k++) arguments += std::string(words[k]) + "\n";
    open();
    allocate();
  }

  void init_style() override {
    if (!force->newton_pair) error->all(FLERR, "pair_style schnet needs newton on");
    if (!atom->tag_enable) error->all(FLERR, "pair_style schnet needs atom IDs");
  }

  double init_one(int, int) override { return reach; }

  void compute(int eflag, int vflag) override {
    ev_init(eflag, vflag);
    if (vflag_atom) error->all(FLERR, "pair_style schnet has no stress per atom");
    double totals[7] = {0.0};
    const std::int64_t n_own = atom->nlocal, n_all = n_own + atom->nghost;
    const bool periodic = domain->xperiodic && domain->yperiodic && domain->zperiodic;
    Step step{n_own, n_all, atom->ntypes, neighbor->ago, (std::int64_t) sizeof(tagint), eflag_atom, periodic,
              neighbor->skin, n_all ? atom->x[0] : nullptr, atom->type, atom->tag, n_all ? atom->f[0] : nullptr,
              eflag_atom ? eatom : nullptr, totals};
    const int failed = step_of(&step);
    if (failed == 1) {    // on this rank; the others wait for it
      std::fprintf(stderr, "error: rank %d: %s\n", comm->me, message.c_str());
      std::fflush(nullptr);
      MPI_Abort(world, 1);
    }
    if (failed) error->all(FLERR, message);    // on all of them
    eng_vdwl += totals[0];
    if (vflag_global)
      for (int k = 0; k < 6; k++) virial[k] += totals[1 + k];
  }

  // Rows of atoms, as bytes; LAMMPS' buffers are of doubles.
  int pack_forward_comm(int n, int *list, double *buffer, int, int *) override {
    for (int k = 0; k < n; k++) std::memcpy(buffer + (size_t) k * width, row(list[k]), width * sizeof(double));
    return n * width;
  }
  void unpack_forward_comm(int n, int first, double *buffer) override {
    std::memcpy(row(first), buffer, (size_t) n * width * sizeof(double));
  }
  int pack_reverse_comm(int n, int first, double *buffer) override {
    std::memcpy(buffer, row(first), (size_t) n * width * sizeof(double));
    return n * width;
  }
  void unpack_reverse_comm(int n, int *list, double *buffer) override {
    for (int k = 0; k < n; k++) {
      if (single) add<float>(row(list[k]), buffer + (size_t) k * width, 2 * width);
      else add<double>(row(list[k]), buffer + (size_t) k * width, width);
    }
  }

  // ---- Called by Python.

  void known(StepFunction function, double cutoff, int widest) {
    step_of = function;
    reach = cutoff;
    comm_forward = comm_reverse = comm_reverse_off = widest;
    // LAMMPS' buffers are as wide as its pair style says; hybrid ones asked us before there was a model.
    Pair *whole = force->pair;
    if (!whole) return;
    whole->comm_forward = std::max(whole->comm_forward, widest);
    whole->comm_reverse = std::max(whole->comm_reverse, widest);
    whole->comm_reverse_off = std::max(whole->comm_reverse_off, widest);
  }
  void exchange(void *all, int doubles, bool float32, bool forward) {
    rows = static_cast<char *>(all);
    width = doubles;
    single = float32;
    if (forward) comm->forward_comm(this, width);
    else comm->reverse_comm(this, width);
  }
  void agree(double *values, int n, bool least) {
    MPI_Allreduce(MPI_IN_PLACE, values, n, MPI_DOUBLE, least ? MPI_MIN : MPI_SUM, world);
  }
  void tell(char *text, int n, int root) { MPI_Bcast(text, n, MPI_CHAR, root, world); }
  int rank() const { return comm->me; }
  int size() const { return comm->nprocs; }

  std::string options, arguments, message;

 private:
  char *row(int k) const { return rows + (size_t) k * width * sizeof(double); }
  std::string handle() const { return std::to_string(reinterpret_cast<std::uintptr_t>(this)); }

  template <class T> static void add(char *to, const double *from, int n) {
    T *sums = reinterpret_cast<T *>(to);
    const T *values = reinterpret_cast<const T *>(from);
    for (int k = 0; k < n; k++) sums[k] += values[k];
  }

  void open() {
    step_of = nullptr;
    const char *problem = interpreter.open();
    if (problem) error->all(FLERR, std::string(problem));
    Dl_info here;
    dladdr(reinterpret_cast<void *>(&anchor), &here);
    message = "pair_style schnet: another rank could not open the model";
    if (interpreter.execute("import schnet_calc.lammps.pair as p; p.open_pair(r'''" + std::string(here.dli_fname) + "''', " +
                       handle() + ")"))
      message = "pair_style schnet: Python could not import schnet_calc";
    double opened = step_of ? 1.0 : 0.0;
    agree(&opened, 1, true);
    if (opened < 1.0) error->all(FLERR, message);
  }

  void allocate() {
    const int n = atom->ntypes;
    if (!allocated) {
      memory->create(setflag, n + 1, n + 1, "pair:setflag");
      memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
      allocated = 1;
    }
    for (int i = 1; i <= n; i++)
      for (int j = i; j <= n; j++) setflag[i][j] = 1;
  }

  static void anchor() {}

  Interpreter interpreter{};
  StepFunction step_of = nullptr;
  double reach = 0.0;
  char *rows = nullptr;
  int width = 0;
  bool single = false;
};

// ---- The C functions that Python finds, and the plugin's entry.

namespace {

struct Plugin {    // LAMMPS' lammpsplugin_t
  const char *version, *style, *name, *info, *author;
  void *(*creator)(void *);
  void *handle;
};

void *make_pair(void *lmp) { return new PairSchNet(static_cast<LAMMPS *>(lmp)); }

// Whether this was compiled for the LAMMPS that loads it: other versions have other classes.
bool fits(void *lmp) {
  const auto version = reinterpret_cast<int (*)(void *)>(dlsym(RTLD_DEFAULT, "lammps_version"));
  const auto setting = reinterpret_cast<int (*)(void *, const char *)>(dlsym(RTLD_DEFAULT, "lammps_extract_setting"));
  const int found = version ? version(lmp) : static_cast<LAMMPS *>(lmp)->num_ver;
  const bool same_ids = !setting || setting(lmp, "tagint") == (int) sizeof(tagint);
  if (found == SCHNET_LAMMPS_VERSION && same_ids) return true;
  std::fprintf(stderr,
               "error: this plugin was built for LAMMPS of %d with IDs of %d bytes, but LAMMPS is of %d: "
               "schnet-calc lammps build makes another\n",
               SCHNET_LAMMPS_VERSION, (int) sizeof(tagint), found);
  return false;
}

PairSchNet *pair_of(void *handle) { return static_cast<PairSchNet *>(handle); }

}    // namespace

extern "C" {
const char *schnet_arguments(void *pair) { return pair_of(pair)->arguments.c_str(); }
void schnet_known(void *pair, StepFunction function, double cutoff, int widest) { pair_of(pair)->known(function, cutoff, widest); }
void schnet_message(void *pair, const char *text) { pair_of(pair)->message = text; }
void schnet_exchange(void *pair, void *rows, int doubles, int float32, int forward) {
  pair_of(pair)->exchange(rows, doubles, float32 != 0, forward != 0);
}
void schnet_agree(void *pair, double *values, int n, int least) { pair_of(pair)->agree(values, n, least != 0); }
void schnet_tell(void *pair, char *text, int n, int root) { pair_of(pair)->tell(text, n, root); }
int schnet_rank(void *pair) { return pair_of(pair)->rank(); }
int schnet_size(void *pair) { return pair_of(pair)->size(); }

void lammpsplugin_init(void *lmp, void *handle, void *registerer) {
  if (!fits(lmp)) return;
  Plugin plugin{static_cast<LAMMPS *>(lmp)->version, "pair", "schnet", "a SchNet of schnet_calc", "schnet_calc",
                make_pair, handle};
  reinterpret_cast<void (*)(Plugin *, void *)>(registerer)(&plugin, lmp);
}
}
