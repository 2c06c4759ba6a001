#include "esmscale/downstream/contacts.h"

#include "cli/checks.h"
#include "cli/model_flags.h"
#include "cli/verb.h"
#include "esmscale/core/error.h"
#include "esmscale/core/files/files.h"
#include "esmscale/core/progress.h"
#include "esmscale/core/table.h"
#include "esmscale/core/text.h"
#include "esmscale/data/fasta/fasta.h"
#include "esmscale/downstream/known_contacts.h"
#include "esmscale/downstream/npy.h"
#include "esmscale/interop/contact_head.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <unordered_set>

#include <nlohmann/json.hpp>

namespace esmscale::cli {
namespace {

namespace fs = std::filesystem;

struct Options {
  std::string checkpoint, input, output, method = "auto", structure, chain, contact_list;
  bool force = false;
  ModelFlags model;
};

// Proteins whose identifiers can name files; all of them are checked before anything is computed.
std::vector<data::FastaRecord> read_proteins(const Options& options) {
  data::FastaCounts counts;
  data::FastaReader reader(options.input, counts);
  std::vector<data::FastaRecord> proteins;
  std::unordered_set<std::string> names;
  for (data::FastaRecord record; reader.next(record); proteins.push_back(record)) {
    const std::string& name = record.identifier;
    if (name.find('/') != name.npos || name.starts_with("."))
      throw Error({.where = options.input,
                   .expected = "identifiers that can name files",
                   .found = name,
                   .advice = "rename it"});
    if (!names.insert(name).second)
      throw Error({.where = options.input, .expected = "each identifier once", .found = name + " twice"});
    if (record.residues.size() < 2)
      throw Error({.where = options.input, .expected = "at least two residues in " + name, .found = "fewer"});
    downstream::require_mappable(text(options.input, ", ", name),
                                 static_cast<int64_t>(record.residues.size()));
  }
  if (proteins.empty()) throw Error({.where = options.input, .expected = "a protein", .found = "none"});
  if (proteins.size() > 1 && (!options.structure.empty() || !options.contact_list.empty()))
    throw usage_error({.where = options.input,
                       .expected = "one protein, with --structure or --contact-list",
                       .found = std::to_string(proteins.size())});
  return proteins;
}

interop::ContactHead head_of(const ModelOnDevice& model, const std::string& method) {
  const int64_t size = model.config().layers * model.config().heads;
  interop::ContactHead head = interop::contact_head_of(model.info.origin, size);
  const bool has_head = std::any_of(head.weight.begin(), head.weight.end(), [](float w) { return w != 0; });
  if (!has_head && method == "head")
    throw usage_error({.where = model.path.string(),
                       .expected = "a contact head, as official models bring one",
                       .found = "none: no head, or all zeros",
                       .advice = "use --method jacobian"});
  if (!has_head || method == "jacobian") head.weight.clear();
  return head;
}

std::optional<downstream::KnownContacts> known_contacts(const Options& options,
                                                        const data::FastaRecord& protein) {
  if (!options.structure.empty())
    return downstream::contacts_of_structure(options.structure, options.chain, protein.residues);
  if (!options.contact_list.empty())
    return downstream::read_contact_list(options.contact_list, static_cast<int64_t>(protein.residues.size()));
  return std::nullopt;
}

std::span<const float> values_of(const at::Tensor& map_LL) {
  return {map_LL.const_data_ptr<float>(), static_cast<size_t>(map_LL.numel())};
}

fs::path array_file(const Options& options, const std::string& protein) {
  return fs::path(options.output) / (protein + ".npy");
}

fs::path picture_file(const Options& options, const std::string& protein) {
  return fs::path(options.output) / (protein + ".svg");
}

fs::path summary_file(const Options& options) {
  return fs::path(options.output) / "contacts.json";
}

void require_nothing_there(const Options& options, const std::vector<data::FastaRecord>& proteins) {
  require_no_dataset(options.output);
  require_replaceable(summary_file(options), options.force);
  for (const data::FastaRecord& protein : proteins)
    for (const fs::path& file :
         {array_file(options, protein.identifier), picture_file(options, protein.identifier)})
      require_replaceable(file, options.force);
}

struct Map {
  std::string name;
  int64_t residues = 0;
  std::vector<downstream::ContactPrecision> precision{};  // empty: the contacts are not known
};

Json to_json(const Map& map) {
  Json json{{"name", map.name}, {"residues", map.residues}, {"map", map.name + ".npy"}};
  if (!map.precision.empty()) json["precision"] = downstream::to_json(map.precision);
  return json;
}

// NAME.npy and NAME.svg.
Map write_map(const Options& options, const data::FastaRecord& protein, const at::Tensor& map_LL,
              const std::optional<downstream::KnownContacts>& known) {
  const auto length = static_cast<int64_t>(protein.residues.size());
  const std::span<const float> values = values_of(map_LL);
  std::string content = downstream::npy_header("<f4", length, length);
  content.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
  write_file(array_file(options, protein.identifier), content);
  write_file(picture_file(options, protein.identifier),
             downstream::draw_contacts(protein.identifier, values, length, known ? &*known : nullptr));
  Map map{protein.identifier, length};
  if (known) map.precision = downstream::precision_of(values, *known);
  return map;
}

at::Tensor map_of(const ModelOnDevice& model, const interop::ContactHead& head,
                  const data::FastaRecord& protein) {
  if (!head.weight.empty())
    return downstream::contacts_by_head(*model.weights, protein.residues, head.weight, head.bias)
        .contiguous();
  Progress progress(protein.identifier, 20.0 * static_cast<double>(protein.residues.size()), "passes");
  const at::Tensor map_LL = downstream::contacts_by_jacobian(
      *model.engine, model.config(), protein.residues,
      {.batch_rows = model.batch_rows, .progress = [&](double done) { progress.update(done); }});
  progress.finish();
  return map_LL.contiguous();
}

void print_tables(std::ostream& out, const std::vector<Map>& maps) {
  for (const Map& map : maps) {
    if (map.precision.empty()) continue;
    Table table({"pairs", "|i − j| at least", "precision (95%)"});
    for (const downstream::ContactPrecision& p : map.precision)
      table.add({text("first ", p.top, " (", p.pairs, ")"), std::to_string(p.separation),
                 p.pairs > 0
                     ? text(fixed(p.precision, 3), " (", fixed(p.low, 3), " to ", fixed(p.high, 3), ")")
                     : "unknown"});
    out << one_line(map.name) << "\n" << table.str();
  }
}

int predict_contacts(const Program& program, const Options& options) {
  const std::vector<data::FastaRecord> proteins = read_proteins(options);
  const auto known = known_contacts(options, proteins.front());
  require_nothing_there(options, proteins);
  const ModelOnDevice model = open_model(program, options.checkpoint, options.model);
  const interop::ContactHead head = head_of(model, options.method);
  make_own_folder(options.output);
  const std::string method = head.weight.empty() ? "categorical Jacobian" : "contact head";
  std::vector<Map> maps;
  Json rows = Json::array();
  for (const data::FastaRecord& protein : proteins) {
    maps.push_back(write_map(options, protein, map_of(model, head, protein), known));
    rows.push_back(to_json(maps.back()));
  }
  const Json result{{"output", options.output},
                    {"checkpoint", model.path.string()},
                    {"method", method},
                    {"precision_of_products", options.model.precision},
                    {"proteins", std::move(rows)}};
  write_file(summary_file(options), to_text(result, 2) + "\n");
  if (program.json) {
    program.print(result);
  } else {
    program.out << options.output << ": " << maps.size() << " maps by the " << method << "\n";
    print_tables(program.out, maps);
  }
  return 0;
}

}  // namespace

void add_contacts(CLI::App& app, Program& program) {
  auto options = std::make_shared<Options>();
  CLI::App* verb =
      program.add_verb(app, "contacts", "Contact maps of proteins, and their precision against a structure",
                       "esmscale contacts --checkpoint runs/8M --input one.fasta --output maps");
  verb->add_option("--checkpoint", options->checkpoint, "Run, checkpoint or Hugging Face folder")->required();
  verb->add_option("--input", options->input, "FASTA: plain, .gz or .zst")->required();
  verb->add_option("--output", options->output, "Folder of NAME.npy, NAME.svg and contacts.json")->required();
  verb->add_option("--method", options->method,
                   "head (of an imported model), jacobian (of any model), or auto: head where there is one")
      ->check(CLI::IsMember({"auto", "head", "jacobian"}))
      ->capture_default_str();
  CLI::Option* structure = verb->add_option("--structure", options->structure,
                                            "PDB or mmCIF file of the one protein: prints precision");
  verb->add_option("--chain", options->chain, "Chain of the structure; default: its first")->needs(structure);
  verb->add_option("--contact-list", options->contact_list,
                   "Text file with the known contacts of the one protein: two residue numbers a line, from 1")
      ->excludes(structure);
  add_force_flag(*verb, options->force);
  add_model_flags(*verb, options->model);
  verb->callback([&program, options] {
    program.action = [&program, options] { return predict_contacts(program, *options); };
  });
}

}  // namespace esmscale::cli
