#include "interop/origin.h"

#include "esmscale/core/json_reader.h"

#include <nlohmann/json.hpp>

namespace esmscale::interop {

std::string origin_of(const std::string& config, const ContactHead& head) {
  Json origin{{"format", "hugging face"}, {"config", parse_json(config, "config.json")}};
  if (!head.weight.empty()) origin["contact_head"] = {{"weight", head.weight}, {"bias", head.bias}};
  return to_text(origin);
}

ContactHead contact_head_of(const std::string& origin, int64_t size) {
  ContactHead head{.weight = std::vector<float>(static_cast<size_t>(size)), .bias = 0};
  if (origin.empty()) return head;
  const std::string where = "the origin in a checkpoint";
  const JsonReader json(parse_json(origin, where), where);
  if (!json.json().is_object() || !json.has("contact_head")) return head;
  const JsonReader stored = json.object("contact_head");
  const std::vector<JsonReader> weights = stored.array("weight");
  if (weights.size() != head.weight.size()) return head;
  for (size_t i = 0; i < weights.size(); ++i) head.weight[i] = static_cast<float>(weights[i].number());
  head.bias = static_cast<float>(stored.number("bias"));
  return head;
}

}  // namespace esmscale::interop
