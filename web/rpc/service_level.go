package rpc

import (
	"math"

	adminv1 "github.com/biocore-id/biocore/proto/gen/biocore/admin/v1"
	"github.com/biocore-id/biocore/tenancy/stats"
)

// ToServiceLevel is l as the API has it.
func ToServiceLevel(l *stats.ServiceLevel) *adminv1.ServiceLevel {
	out := &adminv1.ServiceLevel{ObjectivePercent: percentOf(l.Objective)}
	if left, known := l.Budget(); known {
		percent := percentOf(left)
		out.BudgetLeftPercent = &percent
	}
	for _, w := range l.Windows {
		one := &adminv1.ServiceLevel_Window{
			Name: w.Name, Availability: toAvailability(w.Level), BurnRate: w.Burn, BurnThreshold: w.Threshold,
			Mark: adminv1.ServiceLevel_Mark(adminv1.ServiceLevel_Mark_value[string(w.Mark)]),
		}
		if share, known := w.Promptness(); known {
			percent := percentOf(share)
			one.PromptPercent = &percent
		}
		out.Windows = append(out.Windows, one)
	}
	return out
}

func toAvailability(l stats.Level) *adminv1.Availability {
	out := &adminv1.Availability{Answered: clamped(l.Answered), Faults: clamped(l.Faults)}
	if share, known := l.Availability(); known {
		percent := percentOf(share)
		out.Percent = &percent
	}
	return out
}

// percentOf is a share in percent, without what floating point adds: 99.9, not 99.900000000000006.
func percentOf(share float64) float64 { return math.Round(share*1e8) / 1e6 }

// clamped is n as the wire has it.
func clamped(n int64) uint32 { return uint32(min(max(n, 0), math.MaxUint32)) }
