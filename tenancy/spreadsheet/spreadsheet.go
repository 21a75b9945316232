// Package spreadsheet keeps cells of CSV files from being taken for formulas by the programs that open them. It is
// a leaf.
package spreadsheet

import "regexp"

// formula is what a spreadsheet takes for the beginning of one: at the beginning of a cell, and after whatever some of
// them take for the end of a cell, such as a semicolon where the comma stands in numbers.
var formula = regexp.MustCompile(`(^|[;|\t\r\n])([\t\r\n]|[;|\s]*[=+\-@＝＋－＠])`)

// Inert is a cell that no spreadsheet takes for a formula, whatever somebody has called
// themselves (OWASP, CSV injection).
func Inert(cell string) string {
	return formula.ReplaceAllString(cell, "$1'$2")
}
