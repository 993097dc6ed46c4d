// Workspace: per-thread scratch memory that kernels reuse from call to call.
#pragma once

#include <cstddef>
#include <cstdint>

namespace faceaffect {

class Workspace {
 public:
  // Returns at least `size` bytes aligned to 64; invalidates the previous pointer of the same slot.
  uint8_t* reserve(int slot, size_t size);

  Workspace() = default;
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  ~Workspace();

  static constexpr int kSlots = 3;

 private:
  uint8_t* memory_[kSlots] = {};
  size_t size_[kSlots] = {};
};

Workspace& thread_workspace();

}  // namespace faceaffect
