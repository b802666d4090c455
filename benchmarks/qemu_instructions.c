/* QEMU plugin: how many AArch64 instructions a program executes, by class.
 *
 *     qemu-aarch64 -plugin ./qemu_instructions.so -d plugin -D LOG PROGRAM
 *
 * When the program ends, LOG holds a line `instructions ALL VECTOR LOAD_STORE`. Vector instructions
 * include scalar floating-point ones, and loads that fill all lanes with one value (LD1R …), which
 * occupy a vector unit; those count as loads, too. Programs of one thread repeat their counts.
 *
 * Debian's QEMU 7.2 comes without the header, so the part of version 1 that is used is declared. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define EXPORTED __attribute__((visibility("default")))

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
                                           void translated(qemu_plugin_id_t,
                                                           struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *block, enum qemu_plugin_op,
                                              void *counter, uint64_t addend);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, void ended(qemu_plugin_id_t, void *),
                                    void *data);
void qemu_plugin_outs(const char *text);

EXPORTED int qemu_plugin_version = 1;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

enum { ALL, VECTOR, LOAD_STORE, CLASSES };
static uint64_t executed[CLASSES];

/* Bits 28 … 25 are the top level of the Arm ARM's encoding index: x1x0 are loads and stores, x111
 * floating-point and Advanced SIMD. */
static void classify(uint32_t word, uint64_t classes[CLASSES]) {
  unsigned group = word >> 25 & 15;
  int replicates = (word & 0xbf40c000) == 0x0d40c000; /* LD1R, LD2R, LD3R, LD4R */
  classes[ALL]++;
  classes[VECTOR] += (group & 7) == 7 || replicates;
  classes[LOAD_STORE] += (group & 5) == 4;
}

/* Instructions are counted when a block of them is entered. */
static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block) {
  uint64_t classes[CLASSES] = {0};
  for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
    uint32_t word;
    memcpy(&word, qemu_plugin_insn_data(qemu_plugin_tb_get_insn(block, i)), sizeof word);
    classify(word, classes);
  }
  for (int i = 0; i < CLASSES; i++)
    qemu_plugin_register_vcpu_tb_exec_inline(block, QEMU_PLUGIN_INLINE_ADD_U64, &executed[i],
                                             classes[i]);
}

static void report(qemu_plugin_id_t id, void *data) {
  char line[100];
  snprintf(line, sizeof line, "instructions %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", executed[ALL],
           executed[VECTOR], executed[LOAD_STORE]);
  qemu_plugin_outs(line);
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv) {
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, report, NULL);
  return 0;
}
