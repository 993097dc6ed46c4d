// Loading the library is enough: its creator is then in TensorRT's registry.
#include "au_gcn_creator.h"

namespace faceaffect {

REGISTER_TENSORRT_PLUGIN(AuGraphCreator);

}  // namespace faceaffect
