package place_test

import (
	"math"
	"strings"
	"testing"

	"github.com/biocore-id/biocore/authcore/risk/place"
)

// neighbours have a land border, or a strait that is swum or a bridge between them.
const neighbours = `AD:ES FR;AE:OM SA QA;AF:CN IR PK TJ TM UZ;AL:GR ME MK XK;AM:AZ GE IR TR;AO:CD CG NA ZM;AR:BO BR CL PY UY;AT:CH CZ DE HU IT LI SI SK
AZ:GE IR RU TR;BA:HR ME RS;BD:IN MM;BE:DE FR LU NL;BF:BJ CI GH ML NE TG;BG:GR MK RO RS TR;BI:CD RW TZ;BJ:NE NG TG;BN:MY;BO:BR CL PE PY;BR:CO GF GY PE PY SR UY VE
BT:CN IN;BW:NA ZA ZM ZW;BY:LT LV PL RU UA;BZ:GT MX;CA:US GL;CD:CF CG RW SS TZ UG ZM;CF:CG CM SD SS TD;CG:CM GA;CH:DE FR IT LI;CI:GH GN LR ML;CL:PE
CM:GA GQ NG TD;CN:HK IN KG KP KZ LA MM MN MO NP PK RU TJ VN;CO:EC PA PE VE;CR:NI PA;CZ:DE PL SK;DE:DK FR LU NL PL;DJ:ER ET SO;DK:SE;DO:HT;DZ:EH LY MA ML MR NE TN
EC:PE;EE:LV RU FI;EG:IL LY PS SD;EH:MA MR;ER:ET SD;ES:FR GI MA PT;ET:KE SD SO SS;FI:NO RU SE;FR:IT LU MC GB;GA:GQ;GB:IE IM JE;GE:RU TR;GF:SR;GH:TG;GM:SN
GN:GW LR ML SL SN;GR:MK TR;GT:HN MX SV;GW:SN;GY:SR VE;HN:NI SV;HR:HU ME RS SI;HU:RO RS SI SK UA;ID:MY PG TL;IL:JO LB PS SY;IN:MM NP PK LK;IQ:IR JO KW SA SY TR
IR:PK TM TR;IT:SI SM VA MT;JO:PS SA SY;KE:SO SS TZ UG;KG:KZ TJ UZ;KH:LA TH VN;KP:KR RU;KW:SA;KZ:RU TM UZ;LA:MM TH VN;LB:SY;LR:SL;LS:ZA;LT:LV PL RU;LV:RU
LY:NE SD TD TN;MA:MR;MC:IT;MD:RO UA;ME:RS XK;MF:SX;MK:RS XK;ML:MR NE SN;MM:TH;MN:RU;MR:SN;MW:MZ TZ ZM;MX:US;MY:SG TH;MZ:SZ TZ ZA ZM ZW;NA:ZA ZM;NE:NG TD
NG:TD;NO:RU SE;OM:SA YE;PL:RU SK UA;PS:EG;QA:SA BH;RO:RS UA;RS:XK;RU:UA US JP;RW:TZ UG;SA:YE BH;SD:SS TD;SK:UA;SS:UG;SV:HN;SY:TR;SZ:ZA;TJ:UZ;TM:UZ;TZ:UG ZM;ZA:ZW;ZM:ZW`

// Neighbours are never apart, however they are given.
func TestNeighbours(t *testing.T) {
	pairs := 0
	for row := range strings.FieldsFuncSeq(neighbours, func(r rune) bool { return r == ';' || r == '\n' }) {
		from, list, _ := strings.Cut(row, ":")
		for to := range strings.FieldsSeq(list) {
			pairs++
			for _, way := range [][2]string{{from, to}, {to, from}} {
				if km, known := place.MinDistance(way[0], way[1]); km != 0 || !known {
					t.Errorf("MinDistance(%s, %s) = %.0f, %v; want 0: they are neighbours", way[0], way[1], km, known)
				}
			}
		}
	}
	if pairs < 300 {
		t.Errorf("%d pairs were compared", pairs)
	}
}

// places are in each country, at its edges where that matters: latitude, longitude.
var places = map[string][][2]float64{
	"PT": {{38.72, -9.14}, {41.15, -8.61}, {37.74, -25.67}, {32.65, -16.91}}, "ES": {{40.42, -3.70}, {28.47, -16.25}, {42.24, -8.72}}, "GB": {{51.51, -0.13}, {50.07, -5.71}, {60.15, -1.15}},
	"IS": {{64.15, -21.94}}, "US": {{40.71, -74.01}, {44.90, -66.99}, {21.31, -157.86}, {61.22, -149.90}, {24.55, -81.78}}, "CA": {{43.65, -79.38}, {47.56, -52.71}, {49.28, -123.12}},
	"BR": {{-23.55, -46.63}, {-8.05, -34.90}}, "AR": {{-34.60, -58.38}}, "ZA": {{-26.20, 28.05}, {-33.92, 18.42}}, "NG": {{6.52, 3.38}}, "EG": {{30.04, 31.24}}, "KE": {{-1.29, 36.82}},
	"IN": {{28.61, 77.21}, {8.08, 77.54}}, "CN": {{39.90, 116.41}, {39.47, 75.99}, {18.25, 109.51}}, "JP": {{35.68, 139.69}, {26.21, 127.68}, {45.42, 141.67}}, "KR": {{37.57, 126.98}},
	"SG": {{1.35, 103.82}}, "ID": {{-6.21, 106.85}, {-10.16, 123.61}}, "AU": {{-33.87, 151.21}, {-12.46, 130.84}, {-31.95, 115.86}}, "NZ": {{-36.85, 174.76}, {-46.41, 168.35}},
	"FJ": {{-18.14, 178.44}}, "CL": {{-33.45, -70.67}, {-27.15, -109.43}}, "RU": {{55.76, 37.62}, {54.71, 20.51}, {43.12, 131.89}, {66.17, -169.81}}, "NO": {{59.91, 10.75}, {78.22, 15.63}},
	"MX": {{19.43, -99.13}, {32.51, -117.04}}, "CU": {{23.11, -82.37}}, "AE": {{25.20, 55.27}}, "TR": {{41.01, 28.98}, {37.58, 43.74}}, "DE": {{52.52, 13.41}, {47.56, 7.59}}, "UA": {{50.45, 30.52}, {46.48, 30.72}},
}

// MinDistance is never more than the way between two places in the countries: the rule that keeps anybody from being called
// impossible. Taking a radius off in country.go turns it red.
func TestMinDistanceIsNoMoreThanTheWay(t *testing.T) {
	for from, starts := range places {
		for to, ends := range places {
			if from == to {
				continue
			}
			way := math.Inf(1)
			for _, a := range starts {
				for _, b := range ends {
					way = min(way, haversine(a, b))
				}
			}
			if km, known := place.MinDistance(from, to); !known || km > way {
				t.Errorf("MinDistance(%s, %s) = %.0f, and a way has %.0f km", from, to, km, way)
			}
		}
	}
}

// It says something all the same. Each is between the nearest points of two countries, from an atlas, and the part that must be left of it.
func TestMinDistanceIsOfUse(t *testing.T) {
	for _, tt := range []struct {
		from, to string
		km       float64
		part     float64
	}{
		{"PT", "AU", 12600, 0.8}, {"GB", "US", 4100, 0.7}, {"DE", "US", 5500, 0.7}, {"DE", "JP", 7700, 0.8}, {"SG", "AU", 1330, 0.7}, {"BR", "PT", 4000, 0.7}, {"ZA", "IN", 6500, 0.8},
		{"NZ", "CL", 6500, 0.6}, {"KE", "DE", 5000, 0.8}, {"IS", "GB", 800, 0.2}, {"FJ", "NZ", 1100, 0.4}, {"US", "CN", 3000, 0.4}, {"MT", "GB", 1800, 0.7}, {"UA", "PT", 2200, 0.7},
	} {
		km, known := place.MinDistance(tt.from, tt.to)
		if back, _ := place.MinDistance(tt.to, tt.from); !known || km < tt.km*tt.part || math.Abs(back-km) > 1e-6 {
			t.Errorf("MinDistance(%s, %s) = %.0f and back %.0f, want %.0f at least", tt.from, tt.to, km, back, tt.km*tt.part)
		}
	}
}

// Of what is no country of ISO's nothing is said.
func TestMinDistanceOfTheUnknown(t *testing.T) {
	for _, pair := range [][2]string{{"", "US"}, {"PT", ""}, {"PT", "EU"}, {"pt", "US"}, {"", ""}} {
		if km, known := place.MinDistance(pair[0], pair[1]); km != 0 || known {
			t.Errorf("MinDistance(%q, %q) = %.0f, %v", pair[0], pair[1], km, known)
		}
	}
	if km, known := place.MinDistance("PT", "PT"); km != 0 || !known {
		t.Errorf("MinDistance(PT, PT) = %.0f, %v", km, known)
	}
}

func TestCountryName(t *testing.T) {
	for code, want := range map[string]string{"PT": "Portugal", "XK": "Kosovo", "CI": "Côte d’Ivoire", "EU": "EU", "": ""} {
		if got := place.CountryName(code); got != want {
			t.Errorf("CountryName(%q) = %q, want %q", code, got, want)
		}
	}
}

func haversine(a, b [2]float64) float64 {
	rad := func(d float64) float64 { return d * math.Pi / 180 }
	h := math.Pow(math.Sin(rad(b[0]-a[0])/2), 2) + math.Cos(rad(a[0]))*math.Cos(rad(b[0]))*math.Pow(math.Sin(rad(b[1]-a[1])/2), 2)
	return 2 * 6371.0088 * math.Asin(math.Sqrt(h))
}
